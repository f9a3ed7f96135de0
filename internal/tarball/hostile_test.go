package tarball

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// block is a header block that says exactly what the test wants, checksum
// included.
func block(h header, change ...func([]byte)) []byte {
	if h.kind == 0 {
		h.kind = typeFile
	}
	if h.mode == 0 {
		h.mode = 0o644
	}
	b := appendBlock(nil, h)
	for _, c := range change {
		c(b)
	}
	putOctal(b[offSum:offSum+7], checksum(b))
	b[offSum+7] = ' '
	return b
}

func at(offset int, raw string) func([]byte) {
	return func(b []byte) { copy(b[offset:], raw) }
}

func gnu(b []byte) { copy(b[offMagic:], magicGNU) }

func v7(b []byte) { clear(b[offMagic:offPrefix]) }

// body pads content to whole blocks.
func body(s string) []byte { return append([]byte(s), zeros[:padding(int64(len(s)))]...) }

// extended is a PAX or GNU header with its body.
func extended(kind byte, content string) []byte {
	return append(block(header{name: paxName, kind: kind, size: int64(len(content))}), body(content)...)
}

func record(key, value string) string { return string(paxRecords(map[string]string{key: value})) }

func archiveOf(parts ...[]byte) []byte {
	return append(bytes.Join(parts, nil), zeros[:]...)
}

func named(name string) []byte { return block(header{name: name}) }

func link(name, to string) []byte { return block(header{name: name, link: to, kind: typeLink}) }

func symlink(name, to string) []byte { return block(header{name: name, link: to, kind: typeSymlink}) }

func directory(name string) []byte { return block(header{name: name, kind: typeDir, mode: 0o755}) }

func TestReadRefuses(t *testing.T) {
	long := strings.Repeat("x", 300)
	tests := []struct {
		name string
		data []byte
		want string
	}{
		{"nothing", nil, "unexpected EOF"},
		{"cut in header", named("a")[:100], "unexpected EOF"},
		{"no end", named("a"), "unexpected EOF"},
		{"one zero block", append(named("a"), zeros[:blockSize]...), "unexpected EOF"},
		{"lone zero block", archiveOf(named("a"), zeros[:blockSize], named("b")), "lone zero block"},
		{"data after the end", append(archiveOf(named("a")), []byte("x")...), "data after the end"},
		{"second archive", append(archiveOf(named("a")), archiveOf(named("b"))...), "data after the end"},
		{"cut in content", block(header{name: "a", size: 1000}), "unexpected EOF"},
		{"checksum", func() []byte { b := named("a"); b[0] = 'b'; return archiveOf(b) }(), "checksum"},
		{"text", bytes.Repeat([]byte("text\n"), 1000), "checksum"},
		{"unknown format", archiveOf(block(header{name: "a"}, at(offMagic, "ustar\x0099"))), "format"},

		{"dot dot", archiveOf(named("../a")), `component ".."`},
		{"dot dot inside", archiveOf(named("a/../../b")), `component ".."`},
		{"dot dot after dot", archiveOf(named("./../a")), `component ".."`},
		{"absolute", archiveOf(named("/etc/passwd")), "absolute"},
		{"absolute after dot", archiveOf(named(".//etc/passwd")), "absolute"},
		{"double slash", archiveOf(named("a//b")), `component ""`},
		{"dot inside", archiveOf(named("a/./b")), `component "."`},
		{"empty name", archiveOf(named("")), "empty path"},
		{"root as file", archiveOf(named("./")), "empty path"},
		{"file with slash", archiveOf(named("a/")), `component ""`},
		{"directory with two slashes", archiveOf(directory("a//")), `component ""`},
		{"newline", archiveOf(named("a\nb")), "control character"},
		{"escape sequence", archiveOf(named("a\x1b[2J")), "control character"},
		{"C1 control", archiveOf(named("a\u0085b")), "control character"},
		{"not UTF-8", archiveOf(named("a\xff")), "not UTF-8"},
		{"hidden behind NUL", archiveOf(block(header{name: "a\x00b"})), "data after NUL"},
		{"NUL in pax path", archiveOf(extended(typePAX, record("path", "a\x00b")), named("a")), "path"},
		{"long component", archiveOf(extended(typePAX, record("path", long)), named("a")), "component longer"},
		{"long path", archiveOf(extended(typePAX, record("path", strings.Repeat("x/", 2100)+"y")), named("a")), "longer than 4095"},
		{"deep", archiveOf(extended(typePAX, record("path", strings.Repeat("x/", 200)+"y")), named("a")), "deeper than 128"},
		{"hidden behind a prefix", archiveOf(block(header{name: "a", prefix: "x"}, at(offPrefix+20, "evil"))), "data after NUL"},
		{"no times behind a prefix", archiveOf(block(header{name: "a", prefix: "x"}, at(offPrefix+131, "00000000009 "))), "data after NUL"},
		{"prefix up to the times", archiveOf(block(header{name: "a", prefix: "x"}, at(offPrefix+130, "100000000001"))), "data after NUL"},
		{"prefix leads up", archiveOf(block(header{name: "a", prefix: ".."})), `component ".."`},
		{"absolute prefix", archiveOf(block(header{name: "a", prefix: "/etc"})), "absolute"},
		{"whiteout", archiveOf(named("a/.wh.b")), "marks a removal"},
		{"opaque whiteout", archiveOf(named(".wh..wh..opq")), "marks a removal"},
		{"whiteout without name", archiveOf(named(".wh.")), "marks a removal"},

		{"duplicate", archiveOf(named("a"), named("a")), "duplicate"},
		{"duplicate directory", archiveOf(directory("a/"), directory("./a/")), "duplicate"},
		{"file over symlink", archiveOf(symlink("a", "/etc"), named("a")), "duplicate"},
		{"through symlink", archiveOf(symlink("a", "/etc"), named("a/b")), "not a directory"},
		{"deep through symlink", archiveOf(symlink("a", "."), named("a/b/c")), "not a directory"},
		{"below file", archiveOf(named("a"), named("a/b")), "not a directory"},
		{"symlink over implied directory", archiveOf(named("a/b"), symlink("a", "/etc")), "duplicate"},
		{"hard link up and out", archiveOf(link("a", "../b")), `component ".."`},
		{"hard link absolute", archiveOf(link("a", "/etc/shadow")), "absolute"},
		{"hard link to nothing", archiveOf(link("a", "b")), "earlier file"},
		{"hard link to a later file", archiveOf(link("a", "b"), named("b")), "earlier file"},
		{"hard link to directory", archiveOf(directory("b/"), link("a", "b")), "earlier file"},
		{"hard link to symlink", archiveOf(symlink("b", "/etc/shadow"), link("a", "b")), "earlier file"},
		{"hard link through symlink", archiveOf(symlink("b", "/etc"), link("a", "b/shadow")), "earlier file"},
		{"hard link to itself", archiveOf(link("a", "a")), "earlier file"},
		{"hard link without target", archiveOf(link("a", "")), "link name"},
		{"hard link with content", archiveOf(named("b"), block(header{name: "a", link: "b", kind: typeLink, size: 5}), body("hello")), "content on something"},
		{"symlink without target", archiveOf(symlink("a", "")), "link name"},
		{"symlink with newline", archiveOf(symlink("a", "b\nc")), "control character"},
		{"symlink with content", archiveOf(block(header{name: "a", link: "b", kind: typeSymlink, size: 5}), body("hello")), "content on something"},
		{"directory with content", archiveOf(block(header{name: "a/", kind: typeDir, size: 5}), body("hello")), "content on something"},
		{"file with link name", archiveOf(block(header{name: "a", link: "b"})), "link name"},

		{"character device", archiveOf(block(header{name: "a", kind: '3'})), "device"},
		{"block device", archiveOf(block(header{name: "a", kind: '4'})), "device"},
		{"FIFO", archiveOf(block(header{name: "a", kind: '6'})), "FIFO"},
		{"contiguous file", archiveOf(block(header{name: "a", kind: '7'})), "type '7'"},
		{"old GNU sparse", archiveOf(block(header{name: "a", kind: 'S'}, gnu)), "sparse"},
		{"GNU multi-volume", archiveOf(block(header{name: "a", kind: 'M'}, gnu)), "type 'M'"},
		{"GNU dump directory", archiveOf(block(header{name: "a", kind: 'D'}, gnu)), "type 'D'"},
		{"Solaris ACL", archiveOf(block(header{name: "a", kind: 'A'})), "type 'A'"},
		{"PAX sparse 0.1", archiveOf(extended(typePAX, record("GNU.sparse.map", "0,1")), named("a")), "sparse"},
		{"PAX sparse 1.0", archiveOf(extended(typePAX, record("GNU.sparse.major", "1")), named("a")), "sparse"},

		{"size not octal", archiveOf(block(header{name: "a"}, at(offSize, "0000000008\x00"))), "size: number"},
		{"size negative", archiveOf(block(header{name: "a"}, at(offSize, "-0000000001"))), "size: number"},
		{"size with hole", archiveOf(block(header{name: "a"}, at(offSize, "1 1\x00"))), "size: number"},
		{"size binary negative", archiveOf(block(header{name: "a"}, at(offSize, strings.Repeat("\xff", 12)))), "size: number"},
		{"size binary huge", archiveOf(block(header{name: "a"}, at(offSize, "\x80\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f"))), "size: number"},
		{"size over limit", archiveOf(block(header{name: "a"}, at(offSize, "\x80\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00"))), "larger than"},
		{"mode not octal", archiveOf(block(header{name: "a"}, at(offMode, "rw-r--r"))), "mode: number"},
		{"owner out of range", archiveOf(block(header{name: "a"}, at(offUID, "\x80\x00\x00\xff\xff\xff\xff\xff"))), "owner"},
		{"PAX size against ustar size", archiveOf(extended(typePAX, record("size", "512")), named("a"), body("x")), "512 in the pax header, 0 in the ustar header"},
		{"PAX size zero", archiveOf(extended(typePAX, record("size", "0")), block(header{name: "a", size: 1}), body("x")), "0 in the pax header"},
		{"PAX size negative", archiveOf(extended(typePAX, record("size", "-1")), named("a")), "size: number"},
		{"PAX size padded", archiveOf(extended(typePAX, record("size", "00")), named("a")), "size: number"},
		{"PAX uid overflow", archiveOf(extended(typePAX, record("uid", "99999999999999999999")), named("a")), "uid: number"},

		{"PAX without end", archiveOf(extended(typePAX, "12 path=aaaa"), named("a")), "without newline"},
		{"PAX too long", archiveOf(extended(typePAX, "99 path=a\n"), named("a")), `length "99"`},
		{"PAX too short", archiveOf(extended(typePAX, "2 path=a\n"), named("a")), `length "2"`},
		{"PAX length zero", archiveOf(extended(typePAX, "0 path=a\n"), named("a")), "without length"},
		{"PAX length signed", archiveOf(extended(typePAX, "+9 path=a\n"), named("a")), `length "+9"`},
		{"PAX length padded", archiveOf(extended(typePAX, "010 path=a\n"), named("a")), "without length"},
		{"PAX without key", archiveOf(extended(typePAX, "5 =a\n"), named("a")), "without key"},
		{"PAX without value", archiveOf(extended(typePAX, "5 pa\n"), named("a")), "without key"},
		{"PAX key twice", archiveOf(extended(typePAX, record("path", "b")+record("path", "c")), named("a")), "path twice"},
		{"PAX empty path", archiveOf(extended(typePAX, record("path", "")), named("a")), `path ""`},
		{"PAX unknown key", archiveOf(extended(typePAX, record("pathh", "b")), named("a")), "unknown record"},
		{"PAX binary names", archiveOf(extended(typePAX, record("hdrcharset", "BINARY")), named("a")), "hdrcharset"},
		{"PAX trailing NUL", archiveOf(extended(typePAX, record("path", "b")+"\x00"), named("a")), "without length"},
		{"PAX twice", archiveOf(extended(typePAX, record("path", "b")), extended(typePAX, record("uid", "1")), named("a")), "second extended header"},
		{"PAX and GNU", archiveOf(extended(typePAX, record("path", "b")), extended(typeLongName, "c\x00"), named("a")), "second extended header"},
		{"PAX without entry", archiveOf(extended(typePAX, record("path", "b"))), "without an entry"},
		{"PAX huge", archiveOf(block(header{name: paxName, kind: typePAX, size: 2 << 20})), "extended header of"},
		{"global path", archiveOf(extended(typeGlobal, record("path", "b")), named("a")), "path for all entries"},
		{"global size", archiveOf(extended(typeGlobal, record("size", "1")), named("a")), "size for all entries"},
		{"GNU long name without NUL", archiveOf(extended(typeLongName, "abc"), named("a")), "NUL-terminated"},
		{"GNU long name with two", archiveOf(extended(typeLongName, "abc\x00def\x00"), named("a")), "NUL-terminated"},
		{"GNU long name empty", archiveOf(extended(typeLongName, "\x00"), named("a")), "NUL-terminated"},
		{"GNU long name twice", archiveOf(extended(typeLongName, "b\x00"), extended(typeLongName, "c\x00"), named("a")), "second extended header"},
		{"GNU long name leads up", archiveOf(extended(typeLongName, "../"+long+"\x00"), named("a")), `component ".."`},
		{"GNU long name huge", archiveOf(block(header{name: "././@LongLink", kind: typeLongName, size: 2 << 20}, gnu)), "extended header of"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := collect(bytes.NewReader(tt.data))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestReadAccepts(t *testing.T) {
	long := strings.Repeat("x", 200)
	huge := binary.BigEndian.AppendUint64([]byte{0x80, 0, 0, 0}, 3)
	tests := []struct {
		name string
		data []byte
		want string
	}{
		{"nothing", archiveOf(), ""},
		{"padding", append(archiveOf(named("a")), make([]byte, 20*blockSize)...), "f a"},
		{"dpkg form", archiveOf(directory("./"), directory("./usr/"), block(header{name: "./usr/a", size: 1}, gnu), body("x")), "d usr, f usr/a"},
		{"root without slash", archiveOf(directory("."), named("a")), "f a"},
		{"directory without slash", archiveOf(directory("a")), "d a"},
		{"parent later", archiveOf(named("a/b"), directory("a/")), "f a/b, d a"},
		{"binary size", archiveOf(block(header{name: "a"}, gnu, at(offSize, string(huge))), body("xyz")), "f a"},
		{"blank padded numbers", archiveOf(block(header{name: "a"}, at(offMode, "   644 \x00"), at(offUID, "     0 \x00"))), "f a"},
		{"empty numbers", archiveOf(block(header{name: "a"}, at(offUID, strings.Repeat("\x00", 16)))), "f a"},
		{"mode with type bits", archiveOf(block(header{name: "a", mode: 0o100644})), "f a"},
		{"version 7", archiveOf(block(header{name: "a"}, v7), block(header{name: "d/"}, v7, at(offType, "\x00"))), "f a, d d"},
		{"git archive", archiveOf(extended(typeGlobal, record("comment", strings.Repeat("0", 40))), named("a")), "f a"},
		{"GNU long names", archiveOf(extended(typeLongLink, long+"\x00"), extended(typeLongName, "./"+long+"\x00"), symlink("a", "b")), "l " + long + " → " + long},
		{"PAX names", archiveOf(extended(typePAX, record("linkpath", "/"+long)+record("path", "ü")), symlink("a", "b")), "l ü → /" + long},
		{"PAX times", archiveOf(extended(typePAX, record("mtime", "1.5")+record("LIBARCHIVE.creationtime", "1")), named("a")), "f a"},
		{"PAX size repeated", archiveOf(extended(typePAX, record("size", "1")), block(header{name: "a", size: 1}), body("x")), "f a"},
		{"foreign attribute", archiveOf(extended(typePAX, record(paxXattr+"security.selinux", "x")), named("a")), "f a"},
		{"link to link", archiveOf(named("a"), link("b", "./a"), link("c", "b")), "f a, h b → a, h c → b"},
		{"symlink out", archiveOf(symlink("a", "../../etc")), "l a → ../../etc"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			entries, _, err := collect(bytes.NewReader(tt.data))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range entries {
				s := fmt.Sprintf("%c %s", e.Kind, e.Path)
				if e.Link != "" {
					s += " → " + e.Link
				}
				got = append(got, s)
			}
			if s := strings.Join(got, ", "); s != tt.want {
				t.Errorf("entries %q, want %q", s, tt.want)
			}
			if _, err := Normalise(entries); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestReadLimits(t *testing.T) {
	data := archiveOf(block(header{name: "a", size: 600}), body(strings.Repeat("x", 600)), block(header{name: "b/c/d", size: 600}), body(strings.Repeat("y", 600)))
	pass := func(Entry, io.Reader) error { return nil }
	for _, tt := range []struct {
		limits Limits
		want   string
	}{
		{Limits{}, ""},
		{Limits{Entries: 2, Bytes: 1200, FileBytes: 600, Depth: 3}, ""},
		{Limits{Entries: 1}, "more than 1 entries"},
		{Limits{Bytes: 1199}, "in all"},
		{Limits{FileBytes: 599}, "larger than 599"},
		{Limits{Depth: 2}, "deeper than 2"},
	} {
		err := Read(bytes.NewReader(data), tt.limits, pass)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%+v: error %v", tt.limits, err)
		}
	}
	endless := io.MultiReader(bytes.NewReader(archiveOf()), zeroReader{})
	if err := Read(endless, Limits{}, pass); err == nil || !strings.Contains(err.Error(), "bytes after the end") {
		t.Errorf("endless padding: %v", err)
	}
	stop := errors.New("stop")
	if err := Read(bytes.NewReader(data), Limits{}, func(Entry, io.Reader) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("error of fn: %v", err)
	}
	// A truncated body is an error even if fn does not look at it.
	if err := Read(bytes.NewReader(data[:700]), Limits{}, pass); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut: %v", err)
	}
	swallow := func(_ Entry, r io.Reader) error { _, _ = io.ReadAll(r); return nil }
	if err := Read(bytes.NewReader(data[:700]), Limits{}, swallow); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut and swallowed: %v", err)
	}
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// What Read accepts, the canonical writer can write, and it reads back the
// same, here and in the standard library.
func FuzzRead(f *testing.F) {
	entries, contents := sample()
	f.Add(emit(f, entries, contents))
	f.Add(archiveOf(named("a"), link("b", "a"), symlink("c", "../x"), directory("d/")))
	f.Add(archiveOf(extended(typeLongName, "./long\x00"), named("a")))
	f.Add(archiveOf(extended(typePAX, record("path", "b")+record("uid", "3000000")), named("a")))
	f.Add(archiveOf(extended(typeGlobal, record("comment", "x")), block(header{name: "./", kind: typeDir}, gnu)))
	f.Fuzz(func(t *testing.T, data []byte) {
		data = repair(data)
		entries, contents, err := collect(bytes.NewReader(data))
		if err != nil {
			return
		}
		sameAsStandard(t, data, entries)
		tree, err := Normalise(entries)
		if err != nil {
			t.Fatalf("read but not normalised: %v", err)
		}
		for _, e := range entries { // content follows the file to its first name
			if e.Kind == File {
				for _, n := range tree {
					if n.Kind == File && n.Digest == e.Digest {
						contents[n.Path] = contents[e.Path]
					}
				}
			}
		}
		out := emit(t, tree, contents)
		if int64(len(out)) != Size(tree) {
			t.Errorf("%d bytes, Size says %d", len(out), Size(tree))
		}
		again, againContents, err := collect(bytes.NewReader(out))
		if err != nil {
			t.Fatalf("written but not read: %v", err)
		}
		if !bytes.Equal(out, emit(t, again, againContents)) {
			t.Error("written again, the bytes differ")
		}
		std := tar.NewReader(bytes.NewReader(out))
		for _, e := range again {
			h, err := std.Next()
			if err != nil || strings.TrimSuffix(h.Name, "/") != e.Path || h.Size != e.Size || h.Linkname != e.Link {
				t.Fatalf("%s: standard library: %+v, %v", e.Path, h, err)
			}
		}
	})
}

// sameAsStandard checks that the standard library, where it accepts an archive
// too, finds the same entries in it.
func sameAsStandard(t *testing.T, data []byte, entries []Entry) {
	t.Helper()
	var got []string
	r := tar.NewReader(bytes.NewReader(data))
	for {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return
		}
		if name := strings.TrimSuffix(h.Name, "/"); h.Typeflag != tar.TypeXGlobalHeader && name != "." {
			got = append(got, fmt.Sprintf("%q %d", strings.TrimPrefix(name, "./"), h.Size))
		}
	}
	var want []string
	for _, e := range entries {
		want = append(want, fmt.Sprintf("%q %d", e.Path, e.Size))
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("entries\n%s\nstandard library\n%s", want, got)
	}
}

// repair sets the checksums of what stands where headers should, so that
// mutations get past them, and the end.
func repair(data []byte) []byte {
	data = append(bytes.Clone(data), zeros[:padding(int64(len(data)))]...)
	for at := int64(0); at < int64(len(data)); {
		b := data[at : at+blockSize]
		at += blockSize
		if bytes.Equal(b, zeros[:blockSize]) {
			continue
		}
		putOctal(b[offSum:offSum+7], checksum(b))
		b[offSum+7] = ' '
		if size, err := parseNumber(b[offSize:offTime]); err == nil && size < int64(len(data)) {
			at += size + padding(size)
		}
	}
	return append(data, zeros[:]...)
}
