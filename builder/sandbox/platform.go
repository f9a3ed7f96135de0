package sandbox

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/retort-build/retort/builder"
	"github.com/retort-build/retort/env"
)

const binfmtDir = "/proc/sys/fs/binfmt_misc"

// CheckPlatform returns *builder.UnavailableError for a platform whose programs
// this machine cannot execute: those of another architecture need an emulator which
// the kernel opened beforehand (flag F), since the sandbox has no file of the host.
func CheckPlatform(p env.Platform) error {
	if p == "" || p == env.Any || p.Arch() == runtime.GOARCH {
		return nil
	}
	header, ok := elfHeaders[p]
	if !ok {
		return fmt.Errorf("platform %q: unknown", p)
	}
	entries, err := os.ReadDir(binfmtDir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(binfmtDir, e.Name()))
		if err != nil {
			continue
		}
		if f, err := parseBinfmt(string(text)); err == nil && f.fixed && f.matches(header) {
			return nil
		}
	}
	return &builder.UnavailableError{Missing: []builder.Missing{{
		What:   "emulator for " + string(p),
		Why:    "no enabled entry with flag F in " + binfmtDir,
		Remedy: "apt install qemu-user-static binfmt-support (or docker run --privileged tonistiigi/binfmt --install " + p.Arch() + "), or set method = \"cross\"",
	}}}
}

// elfHeaders are the first bytes of an executable of each platform.
var elfHeaders = map[env.Platform][]byte{
	env.LinuxAMD64: elfHeader(0x3e),
	env.LinuxARM64: elfHeader(0xb7),
}

func elfHeader(machine byte) []byte {
	h := []byte{0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, machine, 0}
	return h
}

// binfmt is one entry of the kernel's table of interpreters.
type binfmt struct {
	fixed       bool // the kernel holds the interpreter open
	offset      int
	magic, mask []byte
}

// parseBinfmt reads an entry as the kernel prints it. An entry that is
// disabled or goes by file extension is an error.
func parseBinfmt(text string) (binfmt, error) {
	var f binfmt
	enabled := false
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		var err error
		switch key {
		case "enabled":
			enabled = true
		case "flags:":
			f.fixed = strings.Contains(value, "F")
		case "offset":
			f.offset, err = strconv.Atoi(value)
		case "magic":
			f.magic, err = hex.DecodeString(value)
		case "mask":
			f.mask, err = hex.DecodeString(value)
		}
		if err != nil {
			return binfmt{}, fmt.Errorf("parse %s: %w", key, err)
		}
	}
	if !enabled || len(f.magic) == 0 || f.offset < 0 || (f.mask != nil && len(f.mask) != len(f.magic)) {
		return binfmt{}, errors.New("parse entry: not an enabled magic")
	}
	return f, nil
}

// matches reports whether the kernel would use the entry for a file that
// begins with header.
func (f binfmt) matches(header []byte) bool {
	if f.offset > len(header) || len(f.magic) > len(header)-f.offset {
		return false
	}
	got := bytes.Clone(header[f.offset : f.offset+len(f.magic)])
	want := bytes.Clone(f.magic)
	for i := range f.mask {
		got[i] &= f.mask[i]
		want[i] &= f.mask[i]
	}
	return bytes.Equal(got, want)
}
