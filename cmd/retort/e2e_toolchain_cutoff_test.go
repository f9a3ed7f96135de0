package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/layout"

	"github.com/retort-build/retort/builder"
	"github.com/retort-build/retort/env"
)

// What a patch release of OpenSSL changes, as a patch.
const patchRelease = `--- a/VERSION.dat
+++ b/VERSION.dat
@@ -1,6 +1,6 @@
 MAJOR=3
 MINOR=5
-PATCH=7
+PATCH=99
 PRE_RELEASE_TAG=
 BUILD_METADATA=
 RELEASE_DATE="9 Jun 2026"
`

// sameBytes changes and renames sources of which nothing gets into what is
// installed.
const sameBytes = `diff --git a/HACKING.md b/doc/HACKING.md
similarity index 90%
rename from HACKING.md
rename to doc/HACKING.md
--- a/HACKING.md
+++ b/doc/HACKING.md
@@ -1,4 +1,4 @@
-MODIFYING OPENSSL SOURCE
+Modifying OpenSSL source
 ========================
 
 This document describes the way to add custom modifications to OpenSSL
`

// toolchainCutOff compiles another OpenSSL under a toolchain that is there.
func (k *kit) toolchainCutOff(t *testing.T) {
	_, first := k.fromSource(t, triples[0])
	out := folder(t) // of all builds: a file there must not pass for another's
	_, paths := k.build(t, first, "-o", out)
	want, before := k.layersOf(t, first), imageLayers(t, paths[1])

	with := func(t *testing.T, patch, more string) start {
		return k.openssl(t, `patches = ["openssl.patch"]`+more, "openssl.patch", patch)
	}
	states := func(t *testing.T, o start) map[string]string {
		out := make(map[string]string)
		for _, s := range k.plan(t, o) {
			out[s.Step] = s.State
		}
		return out
	}
	t.Run("patch release", func(t *testing.T) {
		o := with(t, patchRelease, "")
		plan := states(t, o)
		if plan["patches:openssl"] != "miss" || plan["openssl:build"] != "waiting" || plan["otp:crypto"] != "waiting" || plan[env.ToolOTP] != "hit" {
			t.Errorf("before it is compiled the plan says %v", plan)
		}
		_, paths := k.build(t, o, "-o", out)
		after := imageLayers(t, paths[1])
		if len(before) != len(after) {
			t.Fatalf("layers were %q and are %q", before, after)
		}
		changed := 0
		for i := range before {
			if before[i] != after[i] {
				changed++
			}
		}
		if changed != 1 {
			t.Errorf("%d layers of the image changed:\n%q\n%q", changed, before, after)
		}
		got := k.layersOf(t, o)
		for step, layer := range want {
			openssl := slices.Contains([]string{"openssl:build", builder.StepOpenSSL}, step)
			if same := got[step] == layer; same == openssl {
				t.Errorf("step %s gave the same layer: %v", step, same)
			}
		}
		p := newPodman(t)
		said := p.serves(p.run("pull", "-q", "oci:"+paths[1]))
		if !strings.HasPrefix(said.OpenSSL, "OpenSSL 3.5.99 ") {
			t.Errorf("hello says %+v", said)
		}
	})
	t.Run("same bytes", func(t *testing.T) {
		o := with(t, sameBytes, "")
		k.must(t, o, "exec", "--at", builder.StepProject, "--", "true") // compiles OpenSSL
		for step, state := range states(t, o) {
			if state != "hit" {
				t.Errorf("%s: %s, and OpenSSL has the same bytes", step, state)
			}
		}
	})
	t.Run("options", func(t *testing.T) {
		o := with(t, sameBytes, `, configure = ["enable-zstd"], packages = ["libzstd-dev"]`)
		_, paths := k.build(t, o)
		needed := k.must(t, o, "exec", "--", "sh", "-c", "ldd /usr/lib/*-linux-gnu/libcrypto.so.3").stdout
		if !strings.Contains(needed, "libzstd.so.1") {
			t.Errorf("OpenSSL was not given its option: it loads\n%s", needed)
		}
		p := newPodman(t) // the image has what the library loads
		if said := p.serves(p.run("pull", "-q", "oci:"+paths[1])); !strings.HasPrefix(said.OpenSSL, "OpenSSL "+triples[0].openssl) {
			t.Errorf("hello says %+v", said)
		}
	})
}

// imageLayers are the digests of an image's layers, in an image layout.
func imageLayers(t *testing.T, path string) []string {
	t.Helper()
	index, err := layout.ImageIndexFromPath(path)
	if err != nil {
		t.Fatal(err)
	}
	all, err := index.IndexManifest()
	if err != nil || len(all.Manifests) != 1 {
		t.Fatal(all, err)
	}
	image, err := index.Image(all.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := image.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, l := range manifest.Layers {
		out = append(out, l.Digest.String())
	}
	return out
}
