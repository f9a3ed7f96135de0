package configure

import (
	"encoding/asn1"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The hashes are what openssl x509 -subject_hash prints for these names.
func TestSubjectHash(t *testing.T) {
	for _, file := range []string{"utf8", "printable", "bmp"} {
		b, err := os.ReadFile(filepath.Join("testdata", "certs", file+".pem"))
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join("testdata", "certs", file+".hash"))
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(b)
		if block == nil {
			t.Fatalf("%s: no PEM", file)
		}
		if got, err := subjectHash(block.Bytes); err != nil || got != strings.TrimSpace(string(want)) {
			t.Errorf("%s: %s, %v; want %s", file, got, err, want)
		}
	}
}

func TestUpdateCertificates(t *testing.T) {
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join("testdata", "certs", name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	one, two := read("utf8.pem"), strings.TrimSuffix(read("printable.pem"), "\n")
	got, _, err := configureTree(t, map[string]string{
		info + "p.postinst":                     "#!/bin/sh\nupdate-ca-certificates --fresh\n",
		"etc/ca-certificates.conf":              "# c\nm/B (b).crt\n!m/no.crt\nm/a.crt\nm/gone.crt\n",
		"usr/share/ca-certificates/m/B (b).crt": two,
		"usr/share/ca-certificates/m/a.crt":     one,
		"usr/share/ca-certificates/m/no.crt":    one,
	})
	if err != nil {
		t.Fatal(err)
	}
	hash := func(name string) string { return strings.TrimSpace(read(name + ".hash")) }
	for p, want := range map[string]string{
		"etc/ssl/certs/ca-certificates.crt":         two + "\n" + one,
		"etc/ssl/certs/B_=b=.pem":                   "-> /usr/share/ca-certificates/m/B (b).crt",
		"etc/ssl/certs/a.pem":                       "-> /usr/share/ca-certificates/m/a.crt",
		"etc/ssl/certs/" + hash("utf8") + ".0":      "-> a.pem",
		"etc/ssl/certs/" + hash("printable") + ".0": "-> B_=b=.pem",
	} {
		if got[p] != want {
			t.Errorf("%s: %q, want %q", p, got[p], want)
		}
	}
}

func FuzzSubjectHash(f *testing.F) {
	b, err := os.ReadFile("testdata/certs/bmp.pem")
	if err != nil {
		f.Fatal(err)
	}
	block, _ := pem.Decode(b)
	f.Add(block.Bytes)
	f.Fuzz(func(_ *testing.T, der []byte) {
		_, _ = subjectHash(der)
		_, _ = canonicalName(der)
		_, _ = rawSubject(der)
	})
}

func TestRawSubject(t *testing.T) {
	b, err := os.ReadFile("testdata/certs/utf8.pem")
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(b)
	raw, err := rawSubject(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	var seq []asn1.RawValue
	if _, err := asn1.Unmarshal(raw, &seq); err != nil || len(seq) != 3 {
		t.Errorf("%d names, %v", len(seq), err)
	}
}

// TestLdconfig compares the cache with the one that the tree's own ldconfig
// writes, byte for byte, in a tree with glibc-hwcaps and missing links.
func TestLdconfig(t *testing.T) {
	if os.Getenv("RETORT_E2E") != "1" {
		t.Skip("needs root and a tree from mmdebstrap; set RETORT_E2E=1")
	}
	o := makeOracle(t, "trixie-T", "trixie", setT)
	in := o.unpack(t, false)
	lib := "usr/lib/x86_64-linux-gnu/"
	z, err := os.ReadFile(filepath.Join(o.root, lib+"libz.so.1"))
	if err != nil {
		t.Fatal(err)
	}
	extra := map[string]string{
		lib + "glibc-hwcaps/x86-64-v3/libz.so.1": string(z), lib + "glibc-hwcaps/x86-64-v2/libz.so.1": string(z),
		lib + "libz.so.1.9": string(z), "usr/local/lib/libz.so.1.2": string(z), "opt/lib/libz.so.1.5": string(z),
		"etc/ld.so.conf.d/opt.conf": "/opt/lib # more\n", lib + "libnothing.so": "text",
	}
	in.Trees = append(in.Trees, Tree{Dir: tree(t, extra)})
	var sink memSink
	if _, err := Layer(t.Context(), in, &sink); err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(t.TempDir(), "root")
	if out, err := exec.Command("cp", "-a", o.root, root).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v\n%s", err, out)
	}
	if out, err := exec.Command("cp", "-a", in.Trees[len(in.Trees)-1].Dir+"/.", root).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v\n%s", err, out)
	}
	if out, err := exec.Command("chroot", root, "ldconfig").CombinedOutput(); err != nil {
		t.Fatalf("ldconfig: %v\n%s", err, out)
	}
	want, err := os.ReadFile(filepath.Join(root, "etc/ld.so.cache"))
	if err != nil {
		t.Fatal(err)
	}
	if string(sink.content["etc/ld.so.cache"]) != string(want) {
		if dir := os.Getenv("RETORT_TEST_KEEP"); dir != "" {
			os.WriteFile(filepath.Join(dir, "want.cache"), want, 0o644)
			os.WriteFile(filepath.Join(dir, "got.cache"), sink.content["etc/ld.so.cache"], 0o644)
		}
		t.Error("ld.so.cache differs")
	}
	for _, name := range []string{lib + "libz.so.1", "usr/local/lib/libz.so.1", "opt/lib/libz.so.1"} {
		want, err := os.Readlink(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		got := "as packaged"
		for _, e := range sink.entries {
			if e.Path == name {
				got = e.Link
			}
		}
		if got != want {
			t.Errorf("%s leads to %s, want %s", name, got, want)
		}
	}
}
