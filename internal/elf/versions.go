package elf

import (
	"encoding/binary"
	"fmt"
	"sort"
)

// verneed reads the chain of Verneed records, each with its chain of Vernaux.
func (p *parser) verneed() error {
	at, ok := p.dyn[dtVerneed]
	if !ok {
		return nil
	}
	left := maxVersions
	p.file.VerNeed = make(map[string][]string)
	for n := p.dyn[dtVerneednum]; n > 0; n-- {
		if left--; left < 0 {
			return fmt.Errorf("more than %d", maxVersions)
		}
		rec, err := p.memory(at, 16)
		if err != nil {
			return err
		}
		lib, err := p.name(uint64(binary.LittleEndian.Uint32(rec[4:])))
		if err != nil {
			return err
		}
		aux := at + uint64(binary.LittleEndian.Uint32(rec[8:]))
		for c := binary.LittleEndian.Uint16(rec[2:]); c > 0; c-- {
			if left--; left < 0 {
				return fmt.Errorf("more than %d", maxVersions)
			}
			entry, err := p.memory(aux, 16)
			if err != nil {
				return err
			}
			version, err := p.name(uint64(binary.LittleEndian.Uint32(entry[8:])))
			if err != nil {
				return err
			}
			if binary.LittleEndian.Uint16(entry[4:])&verFlagWeak == 0 {
				p.file.VerNeed[lib] = append(p.file.VerNeed[lib], version)
			}
			next := binary.LittleEndian.Uint32(entry[12:])
			if next == 0 {
				break
			}
			aux += uint64(next)
		}
		sort.Strings(p.file.VerNeed[lib])
		next := binary.LittleEndian.Uint32(rec[12:])
		if next == 0 {
			break
		}
		at += uint64(next)
	}
	return nil
}

// verdef reads the chain of Verdef records; the first Verdaux of each is the
// version's own name, the others are its predecessors.
func (p *parser) verdef() error {
	at, ok := p.dyn[dtVerdef]
	if !ok {
		return nil
	}
	n := p.dyn[dtVerdefnum]
	if n > maxVersions {
		return fmt.Errorf("%d are more than %d", n, maxVersions)
	}
	for ; n > 0; n-- {
		rec, err := p.memory(at, 20)
		if err != nil {
			return err
		}
		// The base definition names the file, not a version of symbols.
		if binary.LittleEndian.Uint16(rec[2:])&verFlagBase == 0 {
			aux, err := p.memory(at+uint64(binary.LittleEndian.Uint32(rec[12:])), 8)
			if err != nil {
				return err
			}
			version, err := p.name(uint64(binary.LittleEndian.Uint32(aux)))
			if err != nil {
				return err
			}
			p.file.VerDef = append(p.file.VerDef, version)
		}
		next := binary.LittleEndian.Uint32(rec[16:])
		if next == 0 {
			break
		}
		at += uint64(next)
	}
	sort.Strings(p.file.VerDef)
	return nil
}
