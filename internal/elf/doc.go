// Package elf reads what the dynamic loader reads of an ELF file and computes
// which libraries a set of programs needs.
//
// It works from the program headers, as ld.so does, so stripped files and
// files without sections are understood. Every offset and count is bounded;
// strings are read one by one, never a whole table.
//
//	file, isELF, err := elf.Read(f)
//	closure := elf.Close(roots, elf.Loader{Triplet: "x86_64-linux-gnu", Lookup: lookup})
package elf
