package hex

import (
	"encoding/binary"
	"strings"
)

// Tags of the external term format.
const (
	etfVersion = 131
	etfInt     = 97
	etfTuple   = 104
	etfNil     = 106
	etfList    = 108
	etfBinary  = 109
	etfMap     = 116
	etfAtom    = 119 // in UTF-8, its length in one byte
)

// MarkerName is the file at the top of an unpacked package that tells Mix
// which package it is.
const MarkerName = ".hex"

// Marker returns the bytes of the file .hex that Hex 2 writes beside a
// package: the external term format of {{hex,2,0}, Map}, with the map's keys in
// Erlang's term order, as term_to_binary(_, [deterministic]) has them. A
// missing outer checksum is nil, which Hex accepts of old locks.
func Marker(l Locked) []byte {
	e := etf{etfVersion}
	e.tuple(2)
	e.tuple(3)
	e.atom("hex")
	e = append(e, etfInt, 2, etfInt, 0)

	e = append(e, etfMap)
	e.uint32(6)
	e.atom("inner_checksum")
	e.binary(encoded(l.Inner.String()))
	e.atom("managers")
	e.atoms(l.Managers)
	e.atom("name")
	e.binary(l.Name)
	e.atom("outer_checksum")
	if l.Outer == "" {
		e.atom("nil")
	} else {
		e.binary(encoded(l.Outer.String()))
	}
	e.atom("repo")
	e.binary(l.Repo)
	e.atom("version")
	e.binary(l.Version)
	return e
}

// encoded is the hex part of a digest, as the lock writes it.
func encoded(d string) string {
	_, hex, _ := strings.Cut(d, ":")
	return hex
}

// etf is a term in the making.
type etf []byte

func (e *etf) uint32(n int) {
	*e = binary.BigEndian.AppendUint32(*e, uint32(n)) //nolint:gosec // lengths of parsed locks, below 8 MiB
}

func (e *etf) tuple(n byte) { *e = append(*e, etfTuple, n) }

func (e *etf) atom(name string) {
	*e = append(*e, etfAtom, byte(len(name)))
	*e = append(*e, name...)
}

func (e *etf) binary(s string) {
	*e = append(*e, etfBinary)
	e.uint32(len(s))
	*e = append(*e, s...)
}

func (e *etf) atoms(names []string) {
	if len(names) > 0 {
		*e = append(*e, etfList)
		e.uint32(len(names))
		for _, n := range names {
			e.atom(n)
		}
	}
	*e = append(*e, etfNil)
}
