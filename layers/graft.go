package layers

import (
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/retort-build/retort/internal/tarball"
)

// graft adds what shows through of the layer below the captured directory, as
// further names of its files.
func (c *capture) graft(ctx context.Context) error {
	if c.opt.Base.DiffID == "" {
		return nil
	}
	entries, err := c.w.store.Entries(ctx, c.opt.Base)
	if err != nil {
		return err
	}
	hidden := make(map[string]bool) // with all below
	for _, p := range c.removed {
		hidden[strings.TrimSuffix(p, "/")] = true
	}
	for p := range c.paths {
		hidden[p] = true
	}
	files := make(map[string]tarball.Entry)
	for _, e := range entries {
		switch e.Kind {
		case tarball.File:
			files[e.Path] = e
		case tarball.Hardlink: // what it links to may be gone
			e.Kind, e.Size, e.Digest, e.Link = tarball.File, files[e.Link].Size, files[e.Link].Digest, ""
		}
		rel, ok := e.Path, true
		if c.opt.BasePrefix != "" {
			rel, ok = strings.CutPrefix(e.Path, c.opt.BasePrefix+"/")
		}
		if !ok || isHidden(hidden, rel) {
			continue
		}
		if err := c.graftEntry(e, rel); err != nil {
			return fmt.Errorf("keep %q: %w", rel, err)
		}
	}
	return nil
}

// isHidden reports whether p is among the hidden paths or below one.
func isHidden(hidden map[string]bool, p string) bool {
	for ; p != "."; p = path.Dir(p) {
		if hidden[p] {
			return true
		}
	}
	return hidden[""]
}

func (c *capture) graftEntry(e tarball.Entry, rel string) error {
	from := c.w.store.Path(c.opt.Base) + "/" + e.Path
	e.Path = path.Join(c.prefix, rel)
	if at, ok := c.w.at[e.Path]; ok && at != impliedDir { // a directory of both
		return nil
	}
	return c.w.add(e, func(e *tarball.Entry) error { return linkFile(from, c.w.host(e.Path), *e) })
}
