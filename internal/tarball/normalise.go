package tarball

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
)

// Normalise returns entries as a canonical tree: sorted, with the directories
// that were only implied (mode 0755, owner 0:0), and with the first path of
// each set of hard links as the file. The argument is left as it is.
func Normalise(entries []Entry) ([]Entry, error) {
	all := make(map[string]Entry, len(entries))
	for _, e := range entries {
		if _, ok := all[e.Path]; ok {
			return nil, fmt.Errorf("normalise tree: duplicate path %q", e.Path)
		}
		if len(e.Xattrs) > 0 {
			e.Xattrs = maps.Clone(e.Xattrs)
		} else {
			e.Xattrs = nil
		}
		all[e.Path] = e
	}
	if err := promoteLinks(all); err != nil {
		return nil, fmt.Errorf("normalise tree: %w", err)
	}
	for _, e := range entries {
		for up := path.Dir(e.Path); up != "." && up != "/"; up = path.Dir(up) {
			if _, ok := all[up]; ok {
				break
			}
			all[up] = Entry{Path: up, Kind: Dir, Mode: 0o755}
		}
	}
	out := slices.SortedFunc(maps.Values(all), func(a, b Entry) int { return cmp.Compare(a.Path, b.Path) })
	if err := Check(out); err != nil {
		return nil, fmt.Errorf("normalise tree: %w", err)
	}
	return out, nil
}

// promoteLinks makes the first path of each set of hard links the file and
// points the others at it.
func promoteLinks(all map[string]Entry) error {
	sets := make(map[string][]string) // file → its links
	for p, e := range all {
		if e.Kind != Hardlink {
			continue
		}
		file, err := linkedFile(all, p)
		if err != nil {
			return err
		}
		sets[file] = append(sets[file], p)
	}
	for file, links := range sets {
		content := all[file]
		links = append(links, file)
		slices.Sort(links)
		for _, p := range links {
			e := content
			e.Path = p
			if p != links[0] {
				e = Entry{Path: p, Kind: Hardlink, Mode: e.Mode, UID: e.UID, GID: e.GID, Link: links[0]}
			}
			all[p] = e
		}
	}
	return nil
}

// linkedFile follows hard links from p to the file they share.
func linkedFile(all map[string]Entry, p string) (string, error) {
	at := p
	for range len(all) + 1 {
		e, ok := all[at]
		if !ok || e.Kind != File && e.Kind != Hardlink {
			return "", fmt.Errorf("hard link %q: %q is not a file of the tree", p, at)
		}
		if e.Kind == File {
			return at, nil
		}
		at = e.Link
	}
	return "", fmt.Errorf("hard link %q: links form a circle", p)
}
