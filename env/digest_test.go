package env

import (
	"errors"
	"os"
	"testing"
)

// A change of this test's golden file makes every lock of every user stale:
// it needs another lockFormat and a line in the changelog.
func TestLockDigestGolden(t *testing.T) {
	data, err := os.ReadFile("testdata/every-key.toml")
	if err != nil {
		t.Fatal(err)
	}
	m := parse(t, string(data))
	golden(t, "every-key.locktext.golden", m.lockText())
	if got, want := m.LockDigest().String(), "sha256:bbf52d2d0b8e38e2146604bf23fea51bd113460b3534d1c642607f01ef0017a4"; got != want {
		t.Errorf("LockDigest: %s, want %s", got, want)
	}
}

func TestLockDigestMoves(t *testing.T) {
	base := parse(t, minimal).LockDigest()
	for _, tt := range []struct {
		name, add string
		stale     bool
	}{
		{"nothing", "", false},
		{"comment", "# words\n", false},
		{"ports and env", "[image]\nports = [\"4000\"]\nenv = {A = \"1\"}\nuser = \"1:1\"\nrepository = \"shop\"\n", false},
		{"release", "[release]\nname = \"shop\"\nmix_env = \"staging\"\n", false},
		{"repository of Hex", "[hex.repos.acme]\nurl = \"https://hex.acme.example\"\n", false},
		{"target that needs the same", "[target.staging]\nmix_env = \"staging\"\n", false},
		{"default said", "[base]\nsuite = \"trixie\"\ncomponents = [\"main\"]\n", false},
		{"hex", "hex = \"2.0.6\"\n", true},
		{"suite", "[base]\nsuite = \"bookworm\"\n", true},
		{"package", "[base]\npackages = [\"git\"]\n", true},
		{"keyring", "[base]\nkeyring = \"keys/a.gpg\"\n", true},
		{"nif", "[nif.jiffy]\nbuild = [\"g++\"]\n", true},
		{"deps", "[deps.jason]\nconfig_apps = [\"shop\"]\n", false},
		{"plugin", "[hex.plugins]\npc = \"1.15.0\"\n", true},
		{"shell", "[image]\nshell = true\n", true},
		{"one platform's package", "[platform.arm64.base]\npackages = [\"git\"]\n", true},
		{"target that needs more", "[target.staging.image]\npackages = [\"curl\"]\n", true},
	} {
		if got := parse(t, minimal+tt.add).LockDigest() != base; got != tt.stale {
			t.Errorf("%s: stale is %t", tt.name, got)
		}
	}
	if parse(t, "platforms = [\"amd64\"]\n"+minimal).LockDigest() == base {
		t.Error("one platform less: not stale")
	}
	if parse(t, "platforms = [\"arm64\", \"amd64\"]\n"+minimal).LockDigest() != base {
		t.Error("platforms in another order: stale")
	}
	a := parse(t, minimal+"[base]\npackages = [\"git\", \"cmake\"]\n[nif.x]\nruntime = []\n").LockDigest()
	if a != parse(t, minimal+"[base]\npackages = [\"cmake\", \"git\"]\n[nif.x]\nruntime = []\n").LockDigest() {
		t.Error("packages in another order: stale")
	}
	if a == parse(t, minimal+"[base]\npackages = [\"cmake\", \"git\"]\n[nif.x]\n").LockDigest() {
		t.Error("runtime named as none is like not named")
	}
}

// The digest does not depend on where the manifest lies.
func TestLockDigestIgnoresFolder(t *testing.T) {
	text := []byte(minimal + "[base]\nkeyring = \"keys/a.gpg\"\n")
	a, err := ParseManifest("toolchain.toml", text, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := ParseManifest("/somewhere/else/toolchain.toml", text, nil)
	if err != nil {
		t.Fatal(err)
	}
	if a.LockDigest() != b.LockDigest() {
		t.Error("the folder is part of the digest")
	}
}

func TestCheckLock(t *testing.T) {
	m := parse(t, minimal)
	l := sample()
	l.Manifest = m.LockDigest()
	if err := m.CheckLock(l); err != nil {
		t.Error(err)
	}
	l.Manifest = sum("older")
	var stale *StaleLockError
	if err := m.CheckLock(l); !errors.As(err, &stale) || stale.Want != m.LockDigest() || stale.Got != sum("older") {
		t.Error(err)
	}
}
