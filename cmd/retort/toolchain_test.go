package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"github.com/retort-build/retort/builder"
	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/layers"
)

// sourceWorkspace is a project whose OTP comes from source, with patches beside
// the manifest that it extends.
func sourceWorkspace(t *testing.T, pins ...env.Source) *workspace {
	t.Helper()
	top := t.TempDir()
	dir := filepath.Join(top, "apps", "shop")
	for name, text := range map[string]string{
		"toolchain.toml":           "[toolchain]\nelixir = \"1.18.3\"\n[toolchain.otp]\nversion = \"27\"\nfrom = \"source\"\npatches = [\"otp/b.patch\", \"otp/*-fix.patch\"]\n",
		"otp/b.patch":              "b",
		"otp/a2-fix.patch":         "two",
		"otp/a1-fix.patch":         "one",
		"apps/shop/toolchain.toml": "extends = \"../../toolchain.toml\"\n",
	} {
		path := filepath.Join(top, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	m, err := env.LoadManifest(filepath.Join(dir, "toolchain.toml"))
	if err != nil {
		t.Fatal(err)
	}
	w := &workspace{dir: dir, manifest: m, lock: &env.Lock{Sources: pins}, patches: map[digest.Digest]string{}}
	if w.config, err = m.For(env.LinuxAMD64, ""); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestToolchainTakesPatches(t *testing.T) {
	pin := env.Source{Tool: env.ToolOTP, Want: "27", Version: "27.3.4.1", Digest: digest.FromString("otp"), Size: 3}
	w := sourceWorkspace(t, pin)
	tc, err := w.toolchain()
	if err != nil {
		t.Fatal(err)
	}
	if tc.OTP == nil || tc.OTP.Archive.Version != pin.Version || tc.OTP.Archive.Digest != pin.Digest {
		t.Fatalf("OTP is %+v", tc.OTP)
	}
	if tc.Elixir != nil || tc.OpenSSL != nil {
		t.Error("tools of the suite are compiled")
	}
	var names, texts []string
	for _, f := range tc.OTP.Patches {
		content, err := w.openSource(&layers.Recipe{Name: "patches:otp"}, f)
		if err != nil {
			t.Fatal(err)
		}
		data := make([]byte, f.Size)
		if _, err := content.Read(data); err != nil {
			t.Fatal(err)
		}
		content.Close()
		names, texts = append(names, strings.TrimPrefix(f.Path, builder.PatchFolder+"/")), append(texts, string(data))
	}
	if got := strings.Join(names, " "); got != "000-b.patch 001-a1-fix.patch 002-a2-fix.patch" {
		t.Errorf("patches %s", got)
	}
	if got := strings.Join(texts, " "); got != "b one two" {
		t.Errorf("patches hold %s", got)
	}
}

func TestToolchainWithoutPin(t *testing.T) {
	w := sourceWorkspace(t)
	if _, err := w.toolchain(); !errors.Is(err, env.ErrLockLacks) {
		t.Error(err)
	}
}

func TestToolchainWithoutPatch(t *testing.T) {
	w := sourceWorkspace(t, env.Source{Tool: env.ToolOTP, Want: "27", Version: "27.3.4.1"})
	name := filepath.Join(w.dir, "..", "..", "otp", "b.patch")
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	refused := func(why string) {
		t.Helper()
		_, err := w.toolchain()
		if err == nil || !strings.Contains(err.Error(), "toolchain.otp.patches") || !strings.Contains(err.Error(), "otp/b.patch") || !strings.Contains(err.Error(), why) {
			t.Errorf("%v, want %q", err, why)
		}
	}
	refused("no such file")
	if err := unix.Mkfifo(name, 0o644); err != nil {
		t.Fatal(err)
	}
	refused("not a regular file")
}
