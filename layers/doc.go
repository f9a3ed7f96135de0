// Package layers turns a lock and a source tree into recipes, and keeps what
// recipes come to.
//
// A Recipe is one step in full. Its Key hashes the recipe and the DiffIDs of its
// inputs: what goes in. Realised, it is a Layer: a normalised file tree, named
// by its DiffID: what came out. The Plan is the recipes in dependency order; it
// is made without effects.
//
// The Store is a directory that many processes share. It keeps layers, views
// (several layers merged), blobs (files by digest) and small values, and the
// index from key to layer. README.md describes its format, its invariants and
// the argument why collecting beside running builds is safe.
//
//   - What the store returns is whole and durable, or it is not returned.
//   - What a process looked up or committed stays until its Store is closed.
//   - A key has one result on a machine: the first.
//   - Bytes from elsewhere are compared with a digest before they have a name.
//
// To realise a key once, whatever else runs:
//
//	l, err := store.Lookup(ctx, key)
//	if errors.Is(err, layers.ErrNotFound) {
//		release, err := store.Lock(ctx, key)
//		// look again, then
//		w, err := store.NewWriter(ctx)
//		err = w.Add(entry, content) // … or let store.Capture take a directory
//		l, err = w.Commit(ctx, key)
//		release()
//	}
package layers
