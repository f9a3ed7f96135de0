package git

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // the names of git's objects
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os/exec"
	"strconv"
	"strings"
)

// Bounds of objects that are read as a whole.
const (
	maxCommit = 4 << 20
	maxTree   = 64 << 20
)

// A missingError says that a repository lacks an object, or has it damaged.
type missingError struct{ what string }

func (e *missingError) Error() string { return e.what }

// objects reads objects out of one repository, and checks that each has the
// name it was asked for by. It is not safe for concurrent use.
type objects struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	err error // the pipe is out of step
}

// openObjects starts the program that hands out objects. Close ends it.
func openObjects(ctx context.Context, dir string, env []string) (*objects, error) {
	o := &objects{cmd: command(ctx, env, "--git-dir="+dir, "cat-file", "--batch")}
	var err error
	if o.in, err = o.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := o.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	o.out = bufio.NewReaderSize(out, 128<<10)
	if err := o.cmd.Start(); err != nil {
		return nil, notInstalled(err)
	}
	return o, nil
}

func (o *objects) close() {
	o.in.Close()
	_ = o.cmd.Cancel() // it may be in the middle of an object nobody wants
	_ = o.cmd.Wait()
}

// open asks for an object. Its content is to be read to the end, where a wrong
// name shows.
func (o *objects) open(id, kind string, limit int64) (*object, error) {
	if o.err != nil {
		return nil, o.err
	}
	if !validID(id) {
		return nil, fmt.Errorf("%q is no object's name", id)
	}
	if _, err := io.WriteString(o.in, id+"\n"); err != nil {
		return nil, o.fail(err)
	}
	line, err := o.out.ReadSlice('\n')
	if err != nil {
		return nil, o.fail(err)
	}
	fields := strings.Fields(string(line))
	if len(fields) == 2 && fields[1] == "missing" {
		return nil, &missingError{fmt.Sprintf("object %s is missing", id)}
	}
	if len(fields) != 3 || fields[0] != id {
		return nil, o.fail(fmt.Errorf("unexpected answer %.100q", line))
	}
	size, err := strconv.ParseInt(fields[2], 10, 64)
	if err != nil || size < 0 {
		return nil, o.fail(fmt.Errorf("unexpected answer %.100q", line))
	}
	if fields[1] != kind {
		return nil, o.fail(fmt.Errorf("object %s is a %s, not a %s", id, fields[1], kind))
	}
	if size > limit {
		return nil, o.fail(fmt.Errorf("%s %s has %d bytes, more than %d", kind, id, size, limit))
	}
	b := &object{from: o, id: id, size: size, left: size, sum: hashOf(id)}
	fmt.Fprintf(b.sum, "%s %d\x00", kind, size)
	return b, nil
}

// read returns the whole of an object.
func (o *objects) read(id, kind string, limit int64) ([]byte, error) {
	b, err := o.open(id, kind, limit)
	if err != nil {
		return nil, err
	}
	var data bytes.Buffer
	if _, err := data.ReadFrom(b); err != nil {
		return nil, err
	}
	return data.Bytes(), nil
}

// fail ends the use of a pipe that may be out of step.
func (o *objects) fail(err error) error {
	if errors.Is(err, io.EOF) {
		err = &missingError{"git cat-file ended too early: the cached repository is damaged"}
	}
	o.err = err
	return err
}

// object is the content of one object.
type object struct {
	from *objects
	id   string
	size int64
	left int64
	sum  hash.Hash
	err  error
}

func (b *object) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if b.left == 0 {
		b.err = b.end()
		return 0, b.err
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.from.out.Read(p)
	b.sum.Write(p[:n])
	b.left -= int64(n)
	if err != nil {
		b.err = b.from.fail(err)
		return n, b.err
	}
	return n, nil
}

// end checks the object's name and the line end behind its content.
func (b *object) end() error {
	c, err := b.from.out.ReadByte()
	if err != nil {
		return b.from.fail(err)
	}
	if c != '\n' {
		return b.from.fail(fmt.Errorf("unexpected byte %q behind object %s", c, b.id))
	}
	if got := hex.EncodeToString(b.sum.Sum(nil)); got != b.id {
		return &missingError{fmt.Sprintf("object %s is damaged: its content has the name %s", b.id, got)}
	}
	return io.EOF
}

func validID(id string) bool {
	if len(id) != 2*sha1.Size && len(id) != 2*sha256.Size {
		return false
	}
	for _, c := range id {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func hashOf(id string) hash.Hash {
	if len(id) == 2*sha256.Size {
		return sha256.New()
	}
	return sha1.New() //nolint:gosec // the names of git's objects
}

// A treeEntry is one name in a tree.
type treeEntry struct {
	mode string // without leading zeros
	name string
	id   string
}

// parseTree reads a tree object whose names are of width bytes.
func parseTree(data []byte, width int) ([]treeEntry, error) {
	var out []treeEntry
	seen := map[string]bool{}
	for len(data) > 0 {
		mode, rest, ok := bytes.Cut(data, []byte{' '})
		name, rest, ok2 := bytes.Cut(rest, []byte{0})
		if !ok || !ok2 || len(mode) == 0 || len(mode) > 7 || len(rest) < width {
			return nil, errors.New("a tree is malformed")
		}
		e := treeEntry{mode: strings.TrimLeft(string(mode), "0"), name: string(name), id: hex.EncodeToString(rest[:width])}
		if e.name == "" || e.name == "." || e.name == ".." || strings.EqualFold(e.name, ".git") || strings.Contains(e.name, "/") {
			return nil, fmt.Errorf("a tree has the name %q", e.name)
		}
		if seen[e.name] {
			return nil, fmt.Errorf("a tree has the name %q twice", e.name)
		}
		seen[e.name] = true
		out = append(out, e)
		data = rest[width:]
	}
	return out, nil
}

// parseCommit returns the name of a commit's tree.
func parseCommit(data []byte) (string, error) {
	line, _, ok := bytes.Cut(data, []byte{'\n'})
	id, isTree := strings.CutPrefix(string(line), "tree ")
	if !ok || !isTree || !validID(id) {
		return "", errors.New("a commit is malformed")
	}
	return id, nil
}
