package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/retort-build/retort/env/hex"
	"github.com/retort-build/retort/internal/tarball"
)

// Bounds of a checkout that no user chooses.
const (
	maxDepth = 100  // of folders
	maxLink  = 4095 // PATH_MAX without its NUL
	maxHops  = 40   // as the kernel follows symbolic links
)

// A checkout writes the trees of one dependency to a sink.
type checkout struct {
	source Source
	limits Limits
	sink   hex.Sink
	files  int
	bytes  int64
	links  map[string]string // target of each symbolic link, by path
}

// A part is a repository at one commit, and where in the dependency it lies.
type part struct {
	url, commit string
	prefix      string // "" is the dependency's own
	depth       int    // of submodules in submodules
	derived     bool   // the address was told by another repository, in full
}

func newCheckout(s Source, limits Limits, sink hex.Sink) *checkout {
	return &checkout{source: s, limits: limits.withDefaults(), sink: sink, links: map[string]string{}}
}

// unpack writes one repository's tree and returns the submodules in it.
func (c *checkout) unpack(ctx context.Context, o *objects, p part) ([]part, error) {
	commit, err := o.read(p.commit, "commit", maxCommit)
	if err != nil {
		return nil, err
	}
	tree, err := parseCommit(commit)
	if err != nil {
		return nil, err
	}
	w := walk{checkout: c, objects: o, part: p}
	if p.prefix == "" {
		if c.source.Sparse != "" {
			if w.sparse, err = newSparse(c.source.Sparse); err != nil {
				return nil, err
			}
		}
		if err := c.gitFolder(commit); err != nil {
			return nil, err
		}
	}
	if err := w.tree(ctx, tree, "", 0); err != nil {
		return nil, err
	}
	if c.source.Sparse != "" && p.prefix == "" && w.kept == 0 {
		return nil, fmt.Errorf("sparse: the commit has no %q", c.source.Sparse)
	}
	return w.submodules()
}

// walk is the way through one repository's tree.
type walk struct {
	*checkout
	objects *objects
	part    part
	sparse  sparse
	kept    int               // files
	modules string            // blob of .gitmodules, or ""
	gitlink map[string]string // commits of submodules, by path
}

func (w *walk) tree(ctx context.Context, id, dir string, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("%s: folders deeper than %d", dir, maxDepth)
	}
	data, err := w.objects.read(id, "tree", maxTree)
	if err != nil {
		return err
	}
	entries, err := parseTree(data, len(id)/2)
	if err != nil {
		return fmt.Errorf("folder %q: %w", dir, err)
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		if w.files++; w.files > w.limits.Files {
			return fmt.Errorf("more than %d files", w.limits.Files)
		}
		if err := w.entry(ctx, e, path.Join(dir, e.name), depth); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) entry(ctx context.Context, e treeEntry, at string, depth int) error {
	if at == ".gitmodules" && strings.HasPrefix(e.mode, "100") {
		w.modules = e.id
	}
	switch e.mode {
	case "40000":
		return w.tree(ctx, e.id, at, depth+1)
	case "160000":
		if w.gitlink == nil {
			w.gitlink = map[string]string{}
		}
		w.gitlink[at] = e.id
		if w.sparse.has(at) {
			w.kept++
		}
		return nil
	}
	if !w.sparse.has(at) {
		return nil
	}
	w.kept++
	switch e.mode {
	case "100644", "100664":
		return w.file(e.id, at, 0o644)
	case "100755":
		return w.file(e.id, at, 0o755)
	case "120000":
		target, err := w.objects.read(e.id, "blob", maxLink)
		if err != nil {
			return fmt.Errorf("symlink %q: %w", at, err)
		}
		full := path.Join(w.part.prefix, at)
		w.links[full] = string(target)
		return w.sink.Add(tarball.Entry{Path: full, Kind: tarball.Symlink, Mode: 0o777, Link: string(target)}, nil)
	}
	return fmt.Errorf("%q has the unknown mode %s", at, e.mode)
}

func (w *walk) file(id, at string, mode uint32) error {
	content, err := w.objects.open(id, "blob", min(w.limits.FileBytes, w.limits.Bytes-w.bytes))
	if err != nil {
		return fmt.Errorf("file %q: %w", at, err)
	}
	w.bytes += content.size
	return w.sink.Add(tarball.Entry{Path: path.Join(w.part.prefix, at), Kind: tarball.File, Mode: mode, Size: content.size}, content)
}

// submodules makes the folder of each submodule, and returns those to be
// checked out. Like git, it does so whether a sparse checkout has them or not.
func (w *walk) submodules() ([]part, error) {
	paths := make([]string, 0, len(w.gitlink))
	for at := range w.gitlink {
		paths = append(paths, at)
	}
	slices.Sort(paths)
	modules := map[string]submodule{}
	if w.modules != "" && w.source.Submodules {
		data, err := w.objects.read(w.modules, "blob", maxModulesFile)
		if err != nil {
			return nil, fmt.Errorf(".gitmodules: %w", err)
		}
		if modules, err = parseModules(data); err != nil {
			return nil, err
		}
	}
	var out []part
	for _, at := range paths {
		full := path.Join(w.part.prefix, at)
		m, known := modules[at]
		if w.source.Submodules || w.sparse.has(at) {
			if err := w.sink.Add(tarball.Entry{Path: full, Kind: tarball.Dir, Mode: 0o755}, nil); err != nil {
				return nil, err
			}
		}
		switch {
		case !w.source.Submodules || m.skip:
			continue
		case !known || m.url == "":
			return nil, fmt.Errorf("submodule %q: .gitmodules has no url for it", at)
		}
		next := part{url: m.url, commit: w.gitlink[at], prefix: full, depth: w.part.depth + 1, derived: true}
		if strings.HasPrefix(m.url, "./") || strings.HasPrefix(m.url, "../") {
			var err error
			if next.url, err = relativeURL(w.part.url, m.url); err != nil {
				return nil, fmt.Errorf("submodule %q: %w", at, err)
			}
			next.derived = w.part.derived
		}
		out = append(out, next)
	}
	return out, nil
}

// checkLinks refuses symbolic links that lead out of the dependency, if only
// by way of others. It is called when all are known.
func (c *checkout) checkLinks() error {
	paths := make([]string, 0, len(c.links))
	for at := range c.links {
		paths = append(paths, at)
	}
	slices.Sort(paths)
	for _, at := range paths {
		if err := c.follow(at); err != nil {
			return fmt.Errorf("symlink %q to %q: %w", at, c.links[at], err)
		}
	}
	return nil
}

func (c *checkout) follow(link string) error {
	out := errors.New("it leads out of the dependency")
	at := strings.Split(path.Dir(link), "/")
	if at[0] == "." {
		at = nil
	}
	target := c.links[link]
	var todo []string
	for hops := 0; ; {
		if path.IsAbs(target) {
			return out
		}
		if hops++; hops > maxHops {
			return errors.New("links go in a circle")
		}
		todo = append(strings.Split(target, "/"), todo...)
		found := false
		for len(todo) > 0 && !found {
			step := todo[0]
			todo = todo[1:]
			switch step {
			case "", ".":
				continue
			case "..":
				if len(at) == 0 {
					return out
				}
				at = at[:len(at)-1]
				continue
			}
			at = append(at, step)
			if target, found = c.links[strings.Join(at, "/")]; found {
				at = at[:len(at)-1]
			}
		}
		if !found {
			return nil
		}
	}
}

// gitFolder writes .git: what `git config remote.origin.url` and `git
// rev-parse HEAD` answer from, which is how Mix knows the dependency, and the
// commit with its tag, from which rebar3 tells a version. History and files
// are not in it, as in a shallow clone whose parents were cut off.
func (c *checkout) gitFolder(commit []byte) error {
	id := c.source.Commit
	files := map[string][]byte{
		"HEAD":                             []byte(id + "\n"),
		"config":                           gitConfig(c.source.URL, len(id) == 64),
		"shallow":                          []byte(id + "\n"),
		"objects/" + id[:2] + "/" + id[2:]: looseObject(fmt.Appendf(nil, "commit %d\x00%s", len(commit), commit)),
	}
	if tag := c.source.Tag; tagForm.MatchString(tag) && len(tag) < 200 && !strings.HasSuffix(tag, ".lock") {
		files["refs/tags/"+tag] = []byte(id + "\n")
	}
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		e := tarball.Entry{Path: ".git/" + name, Kind: tarball.File, Mode: 0o644, Size: int64(len(files[name]))}
		if err := c.sink.Add(e, bytes.NewReader(files[name])); err != nil {
			return err
		}
	}
	return c.sink.Add(tarball.Entry{Path: ".git/refs", Kind: tarball.Dir, Mode: 0o755}, nil)
}

func gitConfig(url string, sha256 bool) []byte {
	var b bytes.Buffer
	if sha256 {
		b.WriteString("[core]\n\trepositoryformatversion = 1\n\tbare = false\n[extensions]\n\tobjectformat = sha256\n")
	} else {
		b.WriteString("[core]\n\trepositoryformatversion = 0\n\tbare = false\n")
	}
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\t", `\t`).Replace(url)
	fmt.Fprintf(&b, "[remote \"origin\"]\n\turl = \"%s\"\n", quoted)
	return b.Bytes()
}

// discard reads files to their end, so that every object is verified.
type discard struct{}

func (discard) Add(_ tarball.Entry, content io.Reader) error {
	if content == nil {
		return nil
	}
	_, err := io.Copy(io.Discard, content)
	return err
}
