package configure

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/internal/fixture"
	"github.com/retort-build/retort/internal/tarball"
	"github.com/retort-build/retort/layers/deb"
)

// The package sets that are compared with what mmdebstrap makes of them: T is
// a toolchain, N adds what native code of popular packages builds against.
const (
	setT = "build-essential,erlang-dev,erlang-nox,elixir,ca-certificates"
	setN = setT + ",libopenblas-dev,libvips-dev,imagemagick,libmagickwand-dev,librocksdb-dev,libgit2-dev," +
		"erlang-wx,libwxgtk3.2-dev,rustc,cargo,nodejs,python3-dev,cmake,libsqlite3-dev,libpq-dev,libssl-dev," +
		"libsodium-dev,libffi-dev,zlib1g-dev,libxml2-dev,libcurl4-openssl-dev,libncurses-dev,libicu-dev,automake," +
		"libtool,pkg-config,unixodbc-dev,libsctp-dev,libsystemd-dev,libzmq3-dev,librdkafka-dev,libhdf5-dev," +
		"libyaml-dev,libusb-1.0-0-dev,libgtk-3-dev,git"
)

// TestOracle compares the tree that unpacking and configuring give with the
// one that mmdebstrap makes of the same packages, file by file. Every
// difference needs a reason in testdata/differences.txt.
func TestOracle(t *testing.T) {
	if os.Getenv("RETORT_E2E") != "1" {
		t.Skip("needs root, mmdebstrap and a mirror; set RETORT_E2E=1")
	}
	for _, tt := range []struct {
		name, suite, include string
		nightly              bool
	}{
		{"trixie-T", "trixie", setT, false},
		{"bookworm-T", "bookworm", setT, false},
		{"forky-T", "forky", setT, false},
		{"trixie-N", "trixie", setN, true},
		{"bookworm-N", "bookworm", setN, true},
		{"forky-N", "forky", setN, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.nightly {
				fixture.NeedNightly(t)
			}
			o := makeOracle(t, tt.name, tt.suite, tt.include)
			in := o.unpack(t, tt.suite == "bookworm")
			var got memSink
			rep, err := Layer(t.Context(), in, &got)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range rep.Unknown {
				t.Errorf("%s calls %s, about which nothing is known", c.Package, c.Name)
			}
			if len(rep.Removed) > 0 {
				t.Errorf("removed: %q", rep.Removed)
			}
			ours := make(map[string]string)
			for _, tree := range in.Trees {
				for _, e := range tree.Entries {
					ours[e.Path] = describe(e, tree.Entries)
				}
			}
			for _, e := range got.entries {
				ours[e.Path] = describe(e, nil)
			}
			checkDifferences(t, tt.name, ours, walkOracle(t, o.root))
			if again := new(memSink); true {
				slices.Reverse(in.Packages)
				if _, err := Layer(t.Context(), in, again); err != nil {
					t.Fatal(err)
				}
				if len(again.entries) != len(got.entries) {
					t.Errorf("second run: %d entries, first: %d", len(again.entries), len(got.entries))
				}
				for i := range min(len(again.entries), len(got.entries)) {
					if a, b := describe(again.entries[i], nil), describe(got.entries[i], nil); a != b {
						t.Errorf("second run: %s %s, first: %s", got.entries[i].Path, a, b)
					}
				}
			}
		})
	}
}

// describe is what two files must have in common to be the same.
func describe(e tarball.Entry, tree []tarball.Entry) string {
	switch e.Kind {
	case tarball.Symlink:
		return "link to " + e.Link
	case tarball.Hardlink:
		i := slices.IndexFunc(tree, func(x tarball.Entry) bool { return x.Path == e.Link })
		return describe(tree[i], nil)
	case tarball.Dir:
		return fmt.Sprintf("dir %o %d:%d", e.Mode, e.UID, e.GID)
	}
	return fmt.Sprintf("file %o %d:%d %s", e.Mode, e.UID, e.GID, e.Digest.Encoded())
}

// memSink keeps the entries of a layer with the digests of their contents.
type memSink struct {
	entries []tarball.Entry
	content map[string][]byte
}

func (m *memSink) Add(e tarball.Entry, content io.Reader) error {
	if content != nil {
		b, err := io.ReadAll(content)
		if err != nil {
			return err
		}
		if m.content == nil {
			m.content = make(map[string][]byte)
		}
		m.content[e.Path] = b
		e.Digest = digestOf(b)
	}
	m.entries = append(m.entries, e)
	return nil
}

type oracle struct {
	root string // the tree that mmdebstrap made
	debs string // the packages that it was made of
	ours string // where they are unpacked
}

func cacheDir(t testing.TB) string {
	dir := os.Getenv("RETORT_TEST_CACHE")
	if dir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		dir = filepath.Join(base, "retort-test")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// makeOracle has mmdebstrap make a root and keep the packages it is made of.
func makeOracle(t testing.TB, name, suite, include string) oracle {
	base := filepath.Join(cacheDir(t), name)
	o := oracle{root: base + ".root", debs: base + ".debs", ours: base + ".ours"}
	if os.Getenv("RETORT_TEST_CACHE") == "" {
		// A large set takes 5 GB: who names no cache gets the disk back.
		t.Cleanup(func() {
			for _, dir := range []string{o.root, o.debs, o.ours} {
				if err := os.RemoveAll(dir); err != nil {
					t.Error(err)
				}
			}
		})
	}
	if _, err := os.Stat(o.root); err == nil {
		return o
	}
	if os.Geteuid() != 0 {
		t.Fatal("mmdebstrap as an oracle needs root")
	}
	if err := os.MkdirAll(o.debs, 0o755); err != nil {
		t.Fatal(err)
	}
	part := o.root + ".part"
	if err := os.RemoveAll(part); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "mmdebstrap", "--mode=root", "--variant=essential", "--format=directory",
		"--include="+include, "--skip=essential/unlink",
		"--aptopt=Acquire::Check-Valid-Until \"false\"", "--aptopt=Apt::Install-Recommends \"false\"",
		"--customize-hook=cp \"$1\"/var/cache/apt/archives/*.deb '"+o.debs+"'",
		suite, part, "deb [check-valid-until=no] "+mirror(t)+" "+suite+" main")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("mmdebstrap: %v\n%s", err, out)
	}
	if err := os.Rename(part, o.root); err != nil {
		t.Fatal(err)
	}
	return o
}

// mirror is the first Debian mirror in this machine's APT sources.
func mirror(t testing.TB) string {
	files, _ := filepath.Glob("/etc/apt/sources.list.d/*")
	re := regexp.MustCompile(`(?m)^(?:URIs:|deb(?: \[[^]]*\])?)\s+(https?://\S+/debian)/?(?:\s|$)`)
	for _, f := range append(files, "/etc/apt/sources.list") {
		b, err := os.ReadFile(f)
		if m := re.FindSubmatch(b); err == nil && m != nil {
			return string(m[1])
		}
	}
	t.Fatal("no Debian mirror in the APT sources of this machine")
	return ""
}

// unpacked is a package on disk, as the test cache keeps it.
type unpacked struct {
	Package Package
	Entries []tarball.Entry
}

// unpack unpacks the oracle's packages into a directory each.
func (o oracle) unpack(t testing.TB, rewrite bool) Input {
	files, err := filepath.Glob(o.debs + "/*.deb")
	if err != nil || len(files) == 0 {
		t.Fatalf("no packages in %s: %v", o.debs, err)
	}
	sizes := make(map[string]int64)
	for _, f := range files {
		fi, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		sizes[f] = fi.Size()
	}
	// Largest first, so that no large one is left for the end.
	slices.SortFunc(files, func(a, b string) int { return int(sizes[b] - sizes[a]) })
	all := make([]unpacked, len(files))
	g, ctx := errgroup.WithContext(t.Context())
	g.SetLimit(2)
	for i, f := range files {
		g.Go(func() error {
			var err error
			all[i], err = unpackDeb(ctx, f, filepath.Join(o.ours, strings.TrimSuffix(filepath.Base(f), ".deb")), rewrite)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	in := Input{Platform: env.LinuxAMD64, UsrMerge: rewrite}
	provided := make(map[string]string)
	for i := range all {
		in.Trees = append(in.Trees, Tree{Dir: filepath.Join(o.ours, strings.TrimSuffix(filepath.Base(files[i]), ".deb")), Entries: all[i].Entries})
		stanza, err := os.ReadFile(filepath.Join(in.Trees[i].Dir, "var/lib/dpkg/status.d", all[i].Package.Name))
		if err != nil {
			t.Fatal(err)
		}
		all[i].Package.Depends = relations(stanza, "Pre-Depends", "Depends")
		for _, p := range relations(stanza, "Provides") {
			provided[p] = all[i].Package.Name
		}
	}
	for _, u := range all {
		provided[u.Package.Name] = u.Package.Name
	}
	for _, u := range all {
		for i, d := range u.Package.Depends {
			u.Package.Depends[i] = provided[d]
		}
		in.Packages = append(in.Packages, u.Package)
	}
	return in
}

// relations lists all names in relation fields of a stanza.
func relations(stanza []byte, fields ...string) []string {
	var names []string
	for line := range strings.Lines(string(stanza)) {
		key, value, _ := strings.Cut(line, ":")
		if !slices.Contains(fields, key) {
			continue
		}
		for one := range strings.FieldsFuncSeq(value, func(r rune) bool { return r == ',' || r == '|' }) {
			if f := strings.FieldsFunc(one, func(r rune) bool { return r == ' ' || r == '(' || r == ':' || r == '\n' }); len(f) > 0 {
				names = append(names, f[0])
			}
		}
	}
	return names
}

func unpackDeb(ctx context.Context, file, dir string, rewrite bool) (unpacked, error) {
	var u unpacked
	if b, err := os.ReadFile(dir + ".json"); err == nil {
		return u, json.Unmarshal(b, &u)
	}
	if err := os.RemoveAll(dir); err != nil {
		return u, err
	}
	f, err := os.Open(file)
	if err != nil {
		return u, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return u, err
	}
	sink := &dirSink{dir: dir}
	c, err := deb.Unpack(ctx, f, fi.Size(), deb.Options{Rewrite: rewrite, Jobs: 2}, sink)
	if err != nil {
		return u, err
	}
	u = unpacked{Package{Name: c.Name, Version: c.Version, Architecture: c.Architecture}, sink.entries}
	b, err := json.Marshal(u)
	if err != nil {
		return u, err
	}
	return u, os.WriteFile(dir+".json", b, 0o644)
}

// dirSink writes a layer to a directory; owners stay in the entries.
type dirSink struct {
	dir     string
	entries []tarball.Entry
}

func (d *dirSink) Add(e tarball.Entry, content io.Reader) error {
	p := filepath.Join(d.dir, e.Path)
	switch e.Kind {
	case tarball.Dir:
		if err := os.MkdirAll(p, 0o755); err != nil {
			return err
		}
	case tarball.Symlink:
		if err := os.Symlink(e.Link, p); err != nil {
			return err
		}
	case tarball.Hardlink:
		if err := os.Link(filepath.Join(d.dir, e.Link), p); err != nil {
			return err
		}
	default:
		f, err := os.Create(p)
		if err != nil {
			return err
		}
		h := sha256.New()
		if _, err := io.Copy(io.MultiWriter(f, h), content); err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
		e.Digest = digestHex(hex.EncodeToString(h.Sum(nil)))
	}
	d.entries = append(d.entries, e)
	return nil
}
