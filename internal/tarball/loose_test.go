package tarball

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// What many an npm package holds: times of star behind a short prefix, and,
// for those who say so, parts of names that lead nowhere and files again.
func TestReadOldArchives(t *testing.T) {
	read := func(limits Limits, data []byte) (string, error) {
		var names []string
		err := Read(bytes.NewReader(data), limits, func(e Entry, _ io.Reader) error {
			names = append(names, e.Path)
			return nil
		})
		return strings.Join(names, " "), err
	}
	times := block(header{name: "a", prefix: "x"}, at(offPrefix+131, "14046512323 14046512324 "))
	if got, err := read(Limits{}, archiveOf(times)); got != "x/a" || err != nil {
		t.Errorf("%s, %v", got, err)
	}
	data := archiveOf(directory("p/"), named("p/./a"), named("p//b"), directory("./p/./"), named("p/a"))
	if got, err := read(Limits{Loose: true}, data); got != "p p/a p/b p p/a" || err != nil {
		t.Errorf("%s, %v", got, err)
	}
	for _, bad := range [][]byte{archiveOf(named("a/./../b")), archiveOf(named("/./a")), archiveOf(named("./")), archiveOf(symlink("a", "/"), named("./a")), archiveOf(named("a"), symlink(".//a", "/"))} {
		if got, err := read(Limits{Loose: true}, bad); err == nil {
			t.Errorf("read %s", got)
		}
	}
}
