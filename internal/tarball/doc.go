// Package tarball is the one place where tar is written and read.
//
// Write makes the canonical tar of a tree: equal entries and contents give
// equal bytes, on every machine and with every Go release, because each header
// is laid out here and not by a library. A layer's DiffID is the sha256 of
// what Write emits, and so is what an image layer or a release archive holds.
//
// Read takes tars that others made (GNU, ustar, PAX) and yields the same
// entries, or refuses. It never guesses: a name, link, size or trailing byte
// that two readers could understand differently is an error.
//
// Invariants:
//   - Paths are relative, clean and slash-separated; entries are in byte order
//     of their paths, so a directory precedes what it holds.
//   - A hard link names a file that stands before it.
//   - No component is a whiteout (.wh.…), so a tree means the same as a
//     directory and as an image layer.
//   - The writer has seen every byte that it vouches for: size and digest of
//     each file are checked while it is copied.
//
// A tree from a package, written again in canonical form:
//
//	var entries []tarball.Entry
//	err := tarball.Read(data, tarball.Limits{}, func(e tarball.Entry, r io.Reader) error {
//		e, err := keep(e, r) // stores the content, fills in e.Digest
//		entries = append(entries, e)
//		return err
//	})
//	entries, err = tarball.Normalise(entries)
//	err = tarball.Write(w, entries, tarball.Epoch, open)
package tarball
