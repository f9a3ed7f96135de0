package env

import (
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
)

func TestPrecompiled(t *testing.T) {
	amd, arm := strings.Repeat("0f", 32), strings.Repeat("f0", 32)
	m := parse(t, minimal+`
[nif.mdex.precompiled]
url = "https://example.org/v1/libmdex-v0.1.0-nif-2.15-x86_64-unknown-linux-gnu.so.tar.gz"
sha256 = "sha256:`+amd+`"
[platform.arm64.nif.mdex]
precompiled = { url = "https://example.org/v1/libmdex-v0.1.0-nif-2.15-aarch64-unknown-linux-gnu.so.tar.gz", sha256 = "`+arm+`" }
[target.source.nif.mdex]
build = ["cargo"]
`)
	for p, want := range map[Platform]string{LinuxAMD64: amd, LinuxARM64: arm} {
		for _, target := range []string{"", "source"} {
			nif := config(t, m, p, target).NIFs[0]
			if nif.Precompiled == nil || nif.Precompiled.Digest != digest.Digest("sha256:"+want) {
				t.Errorf("%s %s: %+v", p, target, nif)
			}
		}
	}
	if plain := parse(t, minimal+"[nif.mdex]\n[platform.arm64.nif.mdex]\n"); m.LockDigest() == plain.LockDigest() {
		t.Error("the target's build packages are not in the lock's digest")
	}
	pinned := parse(t, minimal+"[nif.a.precompiled]\nurl = \"https://example.org/a.tar.gz\"\nsha256 = \""+amd+"\"\n")
	if pinned.LockDigest() != parse(t, minimal+"[nif.a]\n").LockDigest() {
		t.Error("an archive, which the manifest pins itself, makes the lock stale")
	}
}

func TestPrecompiledProblems(t *testing.T) {
	sum := strings.Repeat("0f", 32)
	for _, tt := range []struct{ table, want string }{
		{`url = "https://example.org/a.tar.gz"`, "nif.a.precompiled.sha256: missing"},
		{`sha256 = "` + sum + `"`, "nif.a.precompiled.url: missing"},
		{`url = "https://example.org/a.tar.gz"` + "\n" + `sha256 = "0f"`, "want 64 hexadecimal digits"},
		{`url = "https://example.org/a.tar.gz"` + "\n" + `sha256 = "` + strings.ToUpper(sum) + `"`, "want 64 hexadecimal digits"},
		{`url = "https://example.org/releases/"` + "\n" + `sha256 = "` + sum + `"`, "which ends in its name"},
		{`url = "https://example.org/..tar.gz"` + "\n" + `sha256 = "` + sum + `"`, "which ends in its name"},
		{`url = "file:///etc/passwd.tar.gz"` + "\n" + `sha256 = "` + sum + `"`, "want a URL"},
	} {
		_, err := ParseManifest("toolchain.toml", []byte(minimal+"[nif.a.precompiled]\n"+tt.table+"\n"), nil)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.table, err, tt.want)
		}
	}
}
