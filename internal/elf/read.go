package elf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Machine is the processor an ELF file is for, as OCI and Debian spell it.
type Machine string

// The machines that retort builds for. Others read as "machine N".
const (
	AMD64 Machine = "amd64"
	ARM64 Machine = "arm64"
)

// File is what the dynamic loader acts on.
type File struct {
	Machine Machine
	// Dynamic is false for a static program, whose other fields are empty.
	Dynamic bool
	Interp  string   // program interpreter, "" for libraries and static programs
	Soname  string   // DT_SONAME
	Needed  []string // DT_NEEDED, in file order
	Rpath   []string // DT_RPATH, split; ignored by the loader if there is a Runpath
	Runpath []string // DT_RUNPATH, split
	// VerNeed holds, for each library, the symbol versions without which the
	// loader refuses the file (weak ones left out), sorted.
	VerNeed map[string][]string
	// VerDef holds the symbol versions that the file defines, sorted.
	VerDef []string
}

// Bounds on what is read of a foreign file. The largest values seen in Debian
// are 14 program headers, 80 dynamic entries and 120 versions (libc).
const (
	maxProgs    = 256
	maxDynamic  = 4096
	maxVersions = 4096
	maxString   = 4096
)

// The parts of the ELF and GNU specifications which are used.
const (
	headerSize = 64
	progSize   = 56

	etRel  = 1
	etExec = 2
	etDyn  = 3

	emX86_64  = 62
	emAArch64 = 183

	ptLoad    = 1
	ptDynamic = 2
	ptInterp  = 3

	dtNull       = 0
	dtNeeded     = 1
	dtStrtab     = 5
	dtStrsz      = 10
	dtSoname     = 14
	dtRpath      = 15
	dtRunpath    = 29
	dtVerdef     = 0x6ffffffc
	dtVerdefnum  = 0x6ffffffd
	dtVerneed    = 0x6ffffffe
	dtVerneednum = 0x6fffffff

	verFlagBase = 1
	verFlagWeak = 2
)

// Read reads a program or shared library. isELF is false, without an error,
// for anything else, object files and core dumps included. A 32-bit or
// big-endian file has only its Machine set. An error means that the file
// claims to be ELF and is damaged.
func Read(r io.ReaderAt) (file File, isELF bool, err error) {
	var head [headerSize]byte
	n, err := r.ReadAt(head[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return File{}, false, fmt.Errorf("read ELF header: %w", err)
	}
	if n < 20 || !bytes.HasPrefix(head[:], []byte("\x7fELF")) {
		return File{}, false, nil
	}
	if class, data := head[4], head[5]; class != 2 || data != 1 {
		return File{Machine: Machine(fmt.Sprintf("class %d data %d", class, data))}, true, nil
	}
	if n < headerSize {
		return File{}, true, errors.New("read ELF header: file is cut short")
	}
	switch binary.LittleEndian.Uint16(head[16:]) {
	case etExec, etDyn:
	default:
		return File{}, false, nil
	}
	p := &parser{r: r}
	p.file.Machine = machine(binary.LittleEndian.Uint16(head[18:]))
	if p.file.Machine != AMD64 && p.file.Machine != ARM64 {
		return p.file, true, nil
	}
	if err := p.parse(head[:]); err != nil {
		return File{}, true, fmt.Errorf("read ELF file: %w", err)
	}
	return p.file, true, nil
}

func machine(n uint16) Machine {
	switch n {
	case emX86_64:
		return AMD64
	case emAArch64:
		return ARM64
	}
	return Machine(fmt.Sprintf("machine %d", n))
}

// A segment maps addresses to file offsets.
type segment struct{ offset, addr, size uint64 }

type parser struct {
	r      io.ReaderAt
	loads  []segment
	dyn    map[uint64]uint64
	needed []uint64
	file   File
}

func (p *parser) parse(head []byte) error {
	offset := binary.LittleEndian.Uint64(head[32:])
	size, count := binary.LittleEndian.Uint16(head[54:]), binary.LittleEndian.Uint16(head[56:])
	if count > 0 && size != progSize {
		return fmt.Errorf("program headers of %d bytes, want %d", size, progSize)
	}
	if count > maxProgs {
		return fmt.Errorf("%d program headers, more than %d", count, maxProgs)
	}
	table, err := p.bytes(offset, int(count)*progSize)
	if err != nil {
		return fmt.Errorf("program headers: %w", err)
	}
	var dynamic, interp *segment
	for ; len(table) > 0; table = table[progSize:] {
		s := segment{
			offset: binary.LittleEndian.Uint64(table[8:]),
			addr:   binary.LittleEndian.Uint64(table[16:]),
			size:   binary.LittleEndian.Uint64(table[32:]),
		}
		switch binary.LittleEndian.Uint32(table) {
		case ptLoad:
			p.loads = append(p.loads, s)
		case ptDynamic:
			dynamic = &s
		case ptInterp:
			interp = &s
		}
	}
	if interp != nil {
		if p.file.Interp, err = p.text(interp.offset, interp.size); err != nil {
			return fmt.Errorf("interpreter: %w", err)
		}
	}
	if dynamic == nil {
		return nil
	}
	p.file.Dynamic = true
	return p.dynamic(*dynamic)
}

func (p *parser) dynamic(s segment) error {
	if s.size/16 > maxDynamic {
		return fmt.Errorf("dynamic section of %d bytes is too large", s.size)
	}
	table, err := p.bytes(s.offset, int(s.size/16)*16)
	if err != nil {
		return fmt.Errorf("dynamic section: %w", err)
	}
	p.dyn = make(map[uint64]uint64)
	for ; len(table) > 0; table = table[16:] {
		tag, value := binary.LittleEndian.Uint64(table), binary.LittleEndian.Uint64(table[8:])
		if tag == dtNull {
			break
		}
		if tag == dtNeeded {
			p.needed = append(p.needed, value)
			continue
		}
		p.dyn[tag] = value
	}
	for _, n := range p.needed {
		name, err := p.name(n)
		if err != nil {
			return fmt.Errorf("needed library: %w", err)
		}
		p.file.Needed = append(p.file.Needed, name)
	}
	if at, ok := p.dyn[dtSoname]; ok {
		if p.file.Soname, err = p.name(at); err != nil {
			return fmt.Errorf("soname: %w", err)
		}
	}
	if p.file.Rpath, err = p.paths(dtRpath); err != nil {
		return fmt.Errorf("rpath: %w", err)
	}
	if p.file.Runpath, err = p.paths(dtRunpath); err != nil {
		return fmt.Errorf("runpath: %w", err)
	}
	if err := p.verneed(); err != nil {
		return fmt.Errorf("needed versions: %w", err)
	}
	if err := p.verdef(); err != nil {
		return fmt.Errorf("defined versions: %w", err)
	}
	return nil
}

func (p *parser) paths(tag uint64) ([]string, error) {
	at, ok := p.dyn[tag]
	if !ok {
		return nil, nil
	}
	list, err := p.name(at)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, dir := range bytes.Split([]byte(list), []byte(":")) {
		if len(dir) > 0 {
			out = append(out, string(dir))
		}
	}
	return out, nil
}

// name reads an entry of the dynamic string table.
func (p *parser) name(at uint64) (string, error) {
	size := p.dyn[dtStrsz]
	if at >= size {
		return "", fmt.Errorf("string at %d lies outside the table of %d bytes", at, size)
	}
	offset, ok := p.offset(p.dyn[dtStrtab])
	if !ok {
		return "", errors.New("string table lies outside the file")
	}
	return p.text(offset+at, size-at)
}

// text reads a NUL-terminated string of at most size bytes.
func (p *parser) text(offset, size uint64) (string, error) {
	if size > maxString {
		size = maxString
	}
	buf := make([]byte, size)
	n, err := p.readAt(buf, offset)
	if err != nil {
		return "", err
	}
	end := bytes.IndexByte(buf[:n], 0)
	if end < 0 {
		return "", errors.New("string without end")
	}
	for _, c := range buf[:end] {
		if c < ' ' || c == 0x7f {
			return "", fmt.Errorf("string %q holds control characters", buf[:end])
		}
	}
	return string(buf[:end]), nil
}

// memory reads size bytes at a virtual address.
func (p *parser) memory(addr uint64, size int) ([]byte, error) {
	offset, ok := p.offset(addr)
	if !ok {
		return nil, fmt.Errorf("address %#x lies outside the file", addr)
	}
	return p.bytes(offset, size)
}

func (p *parser) offset(addr uint64) (uint64, bool) {
	for _, s := range p.loads {
		if addr >= s.addr && addr-s.addr < s.size {
			return s.offset + (addr - s.addr), true
		}
	}
	return 0, false
}

func (p *parser) bytes(offset uint64, size int) ([]byte, error) {
	buf := make([]byte, size)
	n, err := p.readAt(buf, offset)
	if err != nil {
		return nil, err
	}
	if n < size {
		return nil, errors.New("file is cut short")
	}
	return buf, nil
}

func (p *parser) readAt(buf []byte, offset uint64) (int, error) {
	if offset > 1<<62 {
		return 0, fmt.Errorf("offset %#x lies outside the file", offset)
	}
	n, err := p.r.ReadAt(buf, int64(offset))
	if err != nil && !errors.Is(err, io.EOF) {
		return n, err
	}
	return n, nil
}
