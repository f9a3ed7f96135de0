package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// wrongPatch changes a line of OpenSSL's README.md that is not there.
const wrongPatch = `--- a/README.md
+++ b/README.md
@@ -3,3 +3,3 @@
 not what is there
-nor this
+but this
 nor that
`

// toolchainRefused has tools that cannot be compiled. Each time the message says
// in which step, and the step can be entered; nothing is lost.
func (k *kit) toolchainRefused(t *testing.T) {
	with := func(t *testing.T, more string) start {
		o := k.openssl(t, more, "openssl/wrong.patch", wrongPatch)
		o.mirror = "" // the lock is enough
		return o
	}
	t.Run("patch", func(t *testing.T) {
		o := with(t, `patches = ["openssl/*.patch"]`)
		k.refuse(t, o, exitBuild, []string{
			"patching file README.md", "Hunk #1 FAILED", "wrong.patch does not apply to this version",
			"your build failed in step patch:openssl", "hint: retort shell --at patch:openssl",
		}, "build")
		k.must(t, o, "exec", "--at", "patch:openssl", "--", "grep", "-q", "OpenSSL", "README.md")
	})
	t.Run("compiler", func(t *testing.T) {
		o := with(t, `cflags = "-fno-such-option"`)
		k.refuse(t, o, exitBuild, []string{
			"the end of the output of step openssl:build", "unrecognized command-line option", "-fno-such-option",
			"your build failed in step openssl:build", "hint: retort shell --at openssl:build",
		}, "build")
		k.must(t, o, "exec", "--at", "openssl:build", "--", "perl", "-c", "Configure")
		if r := k.must(t, o, "plan"); !strings.Contains(r.stdout, "openssl:build") {
			t.Errorf("plan does not say what is missing: %s", r)
		}
	})
	t.Run("network", func(t *testing.T) {
		s := triples[0].app(t)
		s.files["toolchain.lock"] = string(k.lock(t, s))
		dir := folder(t)
		o := start{dir: s.write(t, filepath.Join(dir, "ws"), writeOptions{}), home: filepath.Join(dir, "home")}
		enter := []string{"exec", "--at", "openssl:build", "--", "perl", "-c", "Configure"}
		for _, fault := range []struct {
			fault fault
			words []string
		}{
			{garbled, []string{"fetch source:openssl", "wrong digest"}},
			{brokenOff, []string{"fetch source:openssl", "EOF"}},
			{missing, []string{"fetch source:openssl", "404"}},
		} {
			restore := k.mirror.with(forPackage("openssl", fault.fault))
			k.refuse(t, o, exitFailed, fault.words, enter...)
			restore()
		}
		k.must(t, o, enter...)
		k.must(t, start{home: o.home}, "store", "verify")
	})
}
