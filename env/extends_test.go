package env

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestExtends(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"toolchain.toml": minimal + `[base]
packages = ["git"]
keyring = "keys/debian.gpg"
[nif.jiffy]
build = ["g++"]
[nif.exqlite]
build = ["gcc", "make"]
runtime = ["libsqlite3-0"]
[release]
version = { from = "file", path = "VERSION" }
[target.staging]
mix_env = "staging"
`,
		"apps/base.toml": "extends = \"../toolchain.toml\"\n[toolchain]\nelixir = \"1.19.0\"\n",
		"apps/shop/toolchain.toml": `extends = "../base.toml"
[toolchain]
hex = "2.0.6"
[base]
packages = ["cmake"]
[nif.exqlite]
build = []
[release]
version = { from = "git" }
[target.staging.image]
shell = true
`,
	})
	m, err := LoadManifest(filepath.Join(dir, "apps/shop/toolchain.toml"))
	if err != nil {
		t.Fatal(err)
	}
	c := config(t, m, LinuxAMD64, "staging")
	want := defaults()
	want.Target = "staging"
	want.Toolchain = debianTools("27.3.4.1", "1.19.0", "", "2.0.6", "")
	want.Base.Packages, want.Base.Keyring = []string{"cmake"}, filepath.Join(dir, "keys/debian.gpg")
	want.NIFs = []NIF{
		{Dep: "exqlite", Build: []string{}, Runtime: []string{"libsqlite3-0"}},
		{Dep: "jiffy", Build: []string{"g++"}},
	}
	want.Release.Version, want.Release.MixEnv, want.Image.Shell = Version{From: VersionGit}, "staging", true
	if diff := cmp.Diff(want, c); diff != "" {
		t.Error(diff)
	}
	if len(m.Files()) != 3 {
		t.Errorf("files: %q", m.Files())
	}
}

func TestExtendsProblems(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	write(t, dir, map[string]string{
		"a.toml":       "extends = \"sub/b.toml\"\n" + minimal,
		"sub/b.toml":   "extends = \"../a.toml\"\n",
		"self.toml":    "extends = \"self.toml\"\n" + minimal,
		"missing.toml": "extends = \"nowhere.toml\"\n" + minimal,
		"folder.toml":  "extends = \"sub\"\n" + minimal,
		"two.toml":     "extends = \"bad.toml\"\ntypo = 1\n" + minimal,
		"bad.toml":     "[base]\nsuite = \"X\"\n",
	})
	if err := os.Symlink("link.toml", filepath.Join(dir, "link.toml")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"a.toml":       "sub/b.toml:1: extends: cycle: a.toml extends sub/b.toml extends a.toml",
		"self.toml":    "self.toml:1: extends: cycle: self.toml extends self.toml",
		"missing.toml": `missing.toml:1: extends: read "nowhere.toml": stat nowhere.toml: no such file or directory`,
		"folder.toml":  `folder.toml:1: extends: read "sub": read sub: not a regular file`,
		"two.toml":     "bad.toml:2: base.suite: \"X\": want lower-case letters, digits and dashes, such as trixie\ntwo.toml:2: typo: unknown key: known here are assets, base, deps, extends, generate, hex, image, matrix, nif, platform, platforms, release, target, toolchain",
		"link.toml":    "read manifest: stat link.toml: too many levels of symbolic links",
	} {
		if _, err := LoadManifest(name); err == nil || err.Error() != want {
			t.Errorf("%s:\n%v\nwant\n%s", name, err, want)
		}
	}
	if _, err := LoadManifest("none.toml"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	// A name that the file system keeps new for ever is cut by the length of the chain.
	endless := func(rel string) ([]byte, string, error) { return []byte("extends = \"d/x.toml\"\n"), rel, nil }
	_, err := ParseManifest("x.toml", []byte("extends = \"d/x.toml\"\n"), endless)
	if err == nil || !strings.Contains(err.Error(), "chain of more than 16 manifests") {
		t.Error(err)
	}
}

func TestManifestBounds(t *testing.T) {
	big := make([]byte, maxManifest+1)
	for i := range big {
		big[i] = '\n'
	}
	if _, err := ParseManifest("m.toml", big, nil); err == nil || err.Error() != "m.toml: longer than 1048576 bytes" {
		t.Error(err)
	}
	path := filepath.Join(t.TempDir(), "m.toml")
	if err := os.WriteFile(path, big, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadManifest(path); err == nil || !strings.HasSuffix(err.Error(), "longer than 1048576 bytes") {
		t.Error(err)
	}
}

// The workspace's own manifest is what docs and examples point to, and every
// example inherits it.
func TestWorkspaceManifest(t *testing.T) {
	manifests, err := filepath.Glob("../examples/*/toolchain.toml")
	if err != nil {
		t.Fatal(err)
	}
	want := debianTools("27.3.4.1", "1.18.3", "", "2.0.6", "3.24.0")
	for _, path := range append(manifests, "../toolchain.toml") {
		m, err := LoadManifest(path)
		if err != nil {
			t.Error(err)
			continue
		}
		if diff := cmp.Diff(want, config(t, m, LinuxARM64, "").Toolchain); diff != "" {
			t.Errorf("%s:\n%s", path, diff)
		}
	}
}
