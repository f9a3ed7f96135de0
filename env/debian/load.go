package debian

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/klauspost/compress/gzip"
	"github.com/therootcompany/xz"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/internal/fetch"
)

const (
	maxInRelease = 16 << 20
	maxIndex     = 256 << 20 // compressed; trixie's has 13 MB
	maxUnpacked  = 2 << 30   // where the Release does not say; trixie's has 57 MB
)

// suiteName is one suite that a request draws on.
type suiteName struct {
	archive, name string
	optional      bool
}

// suitesOf lists what belongs to a base suite. Unstable has nothing besides
// itself, and testing may have no updates yet.
func suitesOf(base string) []suiteName {
	all := []suiteName{{MainArchive, base, false}}
	if !slices.Contains([]string{"sid", "unstable", "experimental", "rc-buggy"}, base) {
		all = append(all,
			suiteName{MainArchive, base + "-updates", true},
			suiteName{SecurityArchive, base + "-security", true})
	}
	return all
}

// suiteState is a suite whose signed release is known.
type suiteState struct {
	suiteName
	release *Release
	bases   []string // the one that served the release first
}

// loader fetches for one request.
type loader struct {
	*Archive
	client *fetch.Client
	ring   openpgp.EntityList
	req    *Request
}

func (a *Archive) loader(req *Request) (*loader, error) {
	ring, err := keyring(a.Keyring)
	if err != nil {
		return nil, err
	}
	return &loader{Archive: a, client: a.fetcher(), ring: ring, req: req}, nil
}

func (a *Archive) fetcher() *fetch.Client {
	if a.Fetch != nil {
		return a.Fetch
	}
	return &fetch.Client{}
}

// suites fetches the release of every suite of the request, and names the
// optional ones that no mirror has.
func (l *loader) suites(ctx context.Context) (states []*suiteState, missing []string, err error) {
	names := suitesOf(l.req.Suite)
	found := make([]*suiteState, len(names))
	failed := make([]error, len(names))
	var all sync.WaitGroup
	for i, n := range names {
		all.Go(func() { found[i], failed[i] = l.suite(ctx, n) })
	}
	all.Wait()
	// Every suite that is refused is reported: they tend to expire together.
	if err := errors.Join(failed...); err != nil {
		return nil, nil, err
	}
	for i, s := range found {
		if s != nil {
			states = append(states, s)
		} else {
			missing = append(missing, names[i].name)
		}
	}
	return states, missing, nil
}

// suite fetches and judges one release. An optional suite that no mirror has
// is nil, unless the previous lock was made with it: a mirror that drops the
// security suite must not go unnoticed.
func (l *loader) suite(ctx context.Context, n suiteName) (*suiteState, error) {
	bases := l.Mirrors.bases(n.archive)
	if !l.req.Snapshot.IsZero() {
		if s := l.Mirrors.snapshot(n.archive, l.req.Snapshot); s != "" {
			bases = append(bases, s)
		}
	}
	if len(bases) == 0 {
		return nil, fmt.Errorf("fetch InRelease of %s: no mirror of archive %s is known", n.name, n.archive)
	}
	var errs []error
	absent := true
	for i, base := range bases {
		release, err := l.release(ctx, n, base)
		if err == nil {
			rest := slices.Delete(slices.Clone(bases), i, i+1)
			return &suiteState{suiteName: n, release: release, bases: append([]string{base}, rest...)}, nil
		}
		if ctx.Err() != nil {
			return nil, err
		}
		var gone *fetch.NotFoundError
		absent = absent && errors.As(err, &gone)
		errs = append(errs, err)
	}
	if absent && n.optional {
		if l.seen(n).IsZero() {
			return nil, nil
		}
		return nil, fmt.Errorf("suite %s is gone from every mirror, but the lock was made with it", n.name)
	}
	return nil, joined(errs)
}

func (l *loader) release(ctx context.Context, n suiteName, base string) (*Release, error) {
	var buf fetch.Buffer
	_, err := l.client.Get(ctx, fetch.Request{
		URLs:    []string{strings.TrimRight(base, "/") + "/dists/" + n.name + "/InRelease"},
		MaxSize: maxInRelease, Progress: l.Progress,
	}, &buf)
	if err != nil {
		return nil, err
	}
	r, err := parseInRelease(n.name, buf.Bytes(), l.ring, l.req.Now)
	if err != nil {
		return nil, err
	}
	w := Wanted{Name: n.name, Now: l.req.Now, AllowExpired: slices.Contains(l.req.AllowExpired, n.name), NotBefore: l.seen(n)}
	if at := l.req.Snapshot; !at.IsZero() {
		// An old state is wanted: it is judged as of its own time.
		w.Now, w.NotBefore = at, time.Time{}
		if r.Date.After(at) {
			return nil, fmt.Errorf("InRelease of %s is of %s, after the wanted %s", n.name,
				r.Date.UTC().Format(time.RFC3339), at.UTC().Format(time.RFC3339))
		}
	}
	return r, r.Check(w)
}

// seen is the date of a suite in the previous lock.
func (l *loader) seen(n suiteName) time.Time {
	if l.req.Previous != nil {
		for _, s := range l.req.Previous.Suites {
			if s.Archive == n.archive && s.Name == n.name {
				if at, err := time.Parse(time.RFC3339, s.Date); err == nil {
					return at
				}
			}
		}
	}
	return time.Time{}
}

// universe loads all packages of the suites for an architecture.
func (l *loader) universe(ctx context.Context, states []*suiteState, arch string) (*universe, error) {
	u := newUniverse(arch)
	for _, s := range states {
		u.suites = append(u.suites, s.name)
		if err := l.packages(ctx, s, arch, u.add); err != nil {
			return nil, err
		}
	}
	u.sort()
	return u, nil
}

// packages gives the packages of one suite to keep.
func (l *loader) packages(ctx context.Context, s *suiteState, arch string, keep func(*stanza) error) error {
	if !s.release.serves(arch) {
		if s.optional {
			return nil
		}
		return fmt.Errorf("suite %s has no architecture %s", s.name, arch)
	}
	components := l.req.Components
	if len(components) == 0 {
		components = []string{"main"}
	}
	for _, c := range components {
		archs := []string{arch}
		if s.release.AllApart {
			archs = append(archs, "all")
		}
		for _, each := range archs {
			err := l.index(ctx, s, c+"/binary-"+each+"/Packages", func(p *stanza) error {
				p.suite, p.archive = s.name, s.archive
				return keep(p)
			})
			if errors.Is(err, errNoIndex) && (s.optional || each == "all") {
				continue
			} else if err != nil {
				return fmt.Errorf("read %s/binary-%s of %s: %w", c, each, s.name, err)
			}
		}
	}
	return nil
}

var errNoIndex = errors.New("not in the suite")

// index reads one package index.
func (l *loader) index(ctx context.Context, s *suiteState, path string, keep func(*stanza) error) error {
	r, err := l.open(ctx, s, path)
	if err != nil {
		return err
	}
	return readStanzas(r, keep)
}

// open brings an index and unpacks it: gzip first, which unpacks four times
// faster than xz.
func (l *loader) open(ctx context.Context, s *suiteState, path string) (io.Reader, error) {
	for _, ext := range []string{".gz", ".xz", ""} {
		file, ok := s.release.Files[path+ext]
		if !ok {
			continue
		}
		limit := int64(maxUnpacked)
		if plain, ok := s.release.Files[path]; ok {
			limit = plain.Size
		}
		if file.Size == 0 {
			return bytes.NewReader(nil), nil
		}
		packed, err := l.file(ctx, s, path+ext, file)
		if err != nil {
			return nil, err
		}
		return unpack(bytes.NewReader(packed), ext, limit)
	}
	return nil, errNoIndex
}

// unpack decompresses up to a limit, beyond which reading fails.
func unpack(r io.Reader, ext string, limit int64) (io.Reader, error) {
	var err error
	switch ext {
	case ".gz":
		r, err = gzip.NewReader(r)
	case ".xz":
		r, err = xz.NewReader(r, xz.DefaultDictMax)
	}
	if err != nil {
		return nil, err
	}
	return &limitedReader{r: r, left: limit}, nil
}

var errUnpacks = errors.New("unpacks to more than was signed")

// limitedReader fails where more follows than there should be.
type limitedReader struct {
	r    io.Reader
	left int64
}

func (l *limitedReader) Read(p []byte) (int, error) {
	if l.left < 0 {
		return 0, errUnpacks
	}
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1]
	}
	n, err := l.r.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, errUnpacks
	}
	return n, err
}

// file brings a file of a release from the cache or a mirror.
func (l *loader) file(ctx context.Context, s *suiteState, path string, f File) ([]byte, error) {
	if f.Size > maxIndex {
		return nil, fmt.Errorf("%d bytes: more than the %d that are read", f.Size, maxIndex)
	}
	if l.Cache != nil {
		b, err := l.Cache.Load(ctx, f.Digest)
		if err == nil && int64(len(b)) == f.Size && f.Digest.Algorithm().FromBytes(b) == f.Digest {
			return b, nil
		}
	}
	var urls []string
	for _, base := range s.bases {
		dir := strings.TrimRight(base, "/") + "/dists/" + s.name + "/"
		if s.release.ByHash {
			urls = append(urls, dir+path[:strings.LastIndexByte(path, '/')]+"/by-hash/SHA256/"+f.Digest.Encoded())
		}
		urls = append(urls, dir+path)
	}
	var buf fetch.Buffer
	_, err := l.client.Get(ctx, fetch.Request{URLs: urls, Digest: f.Digest, Size: f.Size, Progress: l.Progress}, &buf)
	if err != nil {
		return nil, err
	}
	if l.Cache != nil {
		if err := l.Cache.Save(ctx, f.Digest, buf.Bytes()); err != nil {
			return nil, fmt.Errorf("keep index: %w", err)
		}
	}
	return buf.Bytes(), nil
}

// lockSuites records the releases in a lock's order.
func lockSuites(states []*suiteState) []env.Suite {
	var out []env.Suite
	for _, s := range states {
		out = append(out, env.Suite{
			Archive: s.archive, Name: s.name, Date: s.release.Date.UTC().Format(time.RFC3339),
			InRelease: s.release.Digest, Signers: s.release.Signers,
		})
	}
	slices.SortFunc(out, func(a, b env.Suite) int {
		if c := strings.Compare(a.Archive, b.Archive); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	return out
}

// joined is one error for several sources that each failed for its own reason.
func joined(errs []error) error {
	if len(errs) == 1 {
		return errs[0]
	}
	return &mirrorsError{errs}
}

type mirrorsError struct{ errs []error }

func (e *mirrorsError) Error() string {
	parts := make([]string, len(e.errs))
	for i, err := range e.errs {
		parts[i] = err.Error()
	}
	return strings.Join(parts, "; ")
}

func (e *mirrorsError) Unwrap() []error { return e.errs }
