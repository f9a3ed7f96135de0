package git

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	rehex "github.com/retort-build/retort/env/hex"
)

// Limits bound what a dependency may be. A zero field means the default.
type Limits struct {
	Files     int   // with folders; default 500,000
	FileBytes int64 // of one file; default 1 GiB
	Bytes     int64 // of all files; default 8 GiB
	Download  int64 // of one repository; default 8 GiB
}

func (l Limits) withDefaults() Limits {
	if l.Files == 0 {
		l.Files = 500_000
	}
	if l.FileBytes == 0 {
		l.FileBytes = 1 << 30
	}
	if l.Bytes == 0 {
		l.Bytes = 8 << 30
	}
	if l.Download == 0 {
		l.Download = 8 << 30
	}
	return l
}

// Bounds of submodules.
const (
	maxNested = 16  // one in another
	maxParts  = 500 // in all
)

// Cache is a folder of bare repositories, one for each address. Its methods
// are safe for concurrent use, also by several processes.
type Cache struct {
	Dir    string
	Env    []string // the user's environment, which tells git how to reach servers
	Limits Limits
}

// Fetch brings all that the source's tree is made of into the cache, and
// verifies it. What is there already is not fetched. Progress, if not nil, is
// told how many more bytes a repository has grown by.
func (c *Cache) Fetch(ctx context.Context, s Source, progress func(n int64)) error {
	return c.each(ctx, newCheckout(s, c.Limits, discard{}), progress, true)
}

// Unpack writes the source's tree to sink as Mix would have checked it out. It
// fetches what the cache lacks. After an error the sink holds a part of it.
func (c *Cache) Unpack(ctx context.Context, s Source, sink rehex.Sink) error {
	return c.each(ctx, newCheckout(s, c.Limits, sink), nil, false)
}

// each goes through a dependency's repository and its submodules.
func (c *Cache) each(ctx context.Context, co *checkout, progress func(int64), again bool) error {
	queue := []part{{url: co.source.URL, commit: co.source.Commit}}
	for done := 0; done < len(queue); done++ {
		p := queue[done]
		if len(queue) > maxParts || p.depth > maxNested {
			return fmt.Errorf("more than %d submodules, or more than %d one in another", maxParts, maxNested)
		}
		more, err := c.part(ctx, co, p, progress)
		var missing *missingError
		if errors.As(err, &missing) && again {
			if err = c.drop(ctx, p); err == nil {
				*co = *newCheckout(co.source, co.limits, co.sink)
				queue, done, again = queue[:1], -1, false
				continue
			}
		}
		if err != nil && p.prefix != "" {
			return fmt.Errorf("submodule %s at %s: %w", p.prefix, Redact(p.url), err)
		}
		if err != nil {
			return fmt.Errorf("%s at %s: %w", Redact(p.url), p.commit, err)
		}
		queue = append(queue, more...)
	}
	return co.checkLinks()
}

// part unpacks one repository while no other process touches its cache.
func (c *Cache) part(ctx context.Context, co *checkout, p part, progress func(int64)) ([]part, error) {
	protocol, err := transport(p.url)
	if err != nil {
		return nil, err
	}
	if protocol == "file" && p.derived {
		return nil, errors.New("it names a path of this machine: submodules may do so only relative to a repository on it")
	}
	r, err := c.lock(ctx, p)
	if err != nil {
		return nil, err
	}
	defer r.unlock()
	dir, err := r.ensure(ctx, p.commit, progress)
	if err != nil {
		return nil, err
	}
	o, err := openObjects(ctx, dir, alone(c.Env))
	if err != nil {
		return nil, err
	}
	defer o.close()
	return co.unpack(ctx, o, p)
}

// drop removes a damaged repository.
func (c *Cache) drop(ctx context.Context, p part) error {
	r, err := c.lock(ctx, p)
	if err != nil {
		return err
	}
	defer r.unlock()
	return os.RemoveAll(r.dir)
}

// A repository is one address's part of the cache, locked.
type repository struct {
	cache *Cache
	url   string
	dir   string
	file  *os.File
}

// lockPause is how often a lock that another process holds is tried again.
const lockPause = 20 * time.Millisecond

func (c *Cache) lock(ctx context.Context, p part) (*repository, error) {
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s", len(p.commit), p.url))
	r := &repository{cache: c, url: p.url, dir: filepath.Join(c.Dir, hex.EncodeToString(sum[:16]))}
	var err error
	for {
		if r.file, err = os.OpenFile(r.dir+".lock", os.O_RDWR|os.O_CREATE, 0o644); err != nil {
			return nil, err
		}
		err = syscall.Flock(int(r.file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil && sameFile(r.file) {
			return r, nil
		}
		r.file.Close()
		if err != nil && !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, fmt.Errorf("lock %s: %w", r.dir, err)
		}
		select {
		case <-time.After(lockPause):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// sameFile reports whether a locked file still has its name.
func sameFile(f *os.File) bool {
	a, err := f.Stat()
	b, err2 := os.Stat(f.Name())
	return err == nil && err2 == nil && os.SameFile(a, b)
}

func (r *repository) unlock() { r.file.Close() }

// ensure returns a repository that has the commit. It asks for that commit
// alone; of servers that give only what has a name it fetches every branch.
func (r *repository) ensure(ctx context.Context, commit string, progress func(int64)) (string, error) {
	if _, err := os.Stat(filepath.Join(r.dir, "busy")); err == nil { // its writer died
		if err := os.RemoveAll(r.dir); err != nil {
			return "", err
		}
	}
	alone, all := filepath.Join(r.dir, "shallow.git"), filepath.Join(r.dir, "full.git")
	for _, dir := range []string{alone, all} {
		if r.has(ctx, dir, commit) {
			return dir, r.used()
		}
	}
	err := r.fetch(ctx, alone, commit, progress, "--depth=1", "--", r.url, "+"+commit+":refs/retort/"+commit)
	if err == nil && r.has(ctx, alone, commit) {
		return alone, r.used()
	}
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	var big *sizeError
	if errors.As(err, &big) {
		return "", err
	}
	if ferr := r.fetch(ctx, all, commit, progress, "--", r.url, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"); ferr != nil {
		return "", advise(ferr)
	}
	if !r.has(ctx, all, commit) {
		return "", fmt.Errorf("no branch or tag of the repository has that commit any more: "+
			"run mix deps.update for the dependency, or push the commit again (the server, asked for it, said: %w)", err)
	}
	return all, r.used()
}

// used notes the time for Prune.
func (r *repository) used() error {
	now := time.Now()
	return os.Chtimes(r.dir+".lock", now, now)
}

func (r *repository) has(ctx context.Context, dir, commit string) bool {
	if _, err := os.Stat(filepath.Join(dir, "HEAD")); err != nil {
		return false
	}
	kind, err := run(ctx, alone(r.cache.Env), "--git-dir="+dir, "cat-file", "-t", commit)
	return err == nil && kind == "commit"
}

// fetch runs one git fetch into dir.
func (r *repository) fetch(ctx context.Context, dir, commit string, progress func(int64), args ...string) error {
	protocol, err := transport(r.url)
	if err != nil {
		return err
	}
	format := "sha1"
	if len(commit) == 64 {
		format = "sha256"
	}
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		return err
	}
	busy := filepath.Join(r.dir, "busy")
	if err := os.WriteFile(busy, nil, 0o644); err != nil {
		return err
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		if _, err := run(ctx, alone(r.cache.Env), "init", "--quiet", "--bare", "--template=", "--object-format="+format, dir); err != nil {
			return err
		}
	}
	env := environ(r.cache.Env, protocols(protocol))
	env = append(env, sshCommand(ctx, env)...)
	argv := append(quiet(dir), append([]string{"fetch", "--quiet", "--force", "--no-tags", "--no-recurse-submodules"}, args...)...)
	err = r.watch(ctx, dir, progress, func(ctx context.Context) error {
		_, err := run(ctx, env, argv...)
		return err
	})
	var killed *sizeError
	if ctx.Err() == nil && !errors.As(err, &killed) { // git ended by itself, and tidied up
		err = errors.Join(err, os.Remove(busy))
	}
	return err
}

// quiet are settings that keep git from running anything, or from tidying up
// commits that nothing but mix.lock names.
func quiet(dir string) []string {
	args := []string{"--git-dir=" + dir}
	for _, setting := range []string{
		"core.hooksPath=" + os.DevNull, "core.fsmonitor=false", "gc.auto=0", "maintenance.auto=false", "fetch.writeCommitGraph=false",
		"fetch.prune=false", "fetch.pruneTags=false", "fetch.unpackLimit=1", "fetch.bundleURI=", "transfer.bundleURI=false",
		"submodule.recurse=false", "remote.origin.promisor=false",
	} {
		args = append(args, "-c", setting)
	}
	return args
}

// protocols are those that a fetch may come to use: of another one than the
// address has only by the user's own url.<base>.insteadOf, or by a redirect,
// which must not lead from https to http.
func protocols(first string) string {
	if first == "http" {
		return "http:https:ssh:git:file"
	}
	return "https:ssh:git:file"
}

// sshCommand keeps ssh from asking, whichever command the user has for it.
func sshCommand(ctx context.Context, env []string) []string {
	values := map[string]string{}
	for _, kv := range env {
		name, value, _ := strings.Cut(kv, "=")
		values[name] = value
	}
	if v := values["GIT_SSH_VARIANT"]; v != "" && v != "ssh" && v != "auto" || values["GIT_SSH"] != "" && values["GIT_SSH_COMMAND"] == "" {
		return nil // not OpenSSH, or a script: without a terminal it cannot ask either
	}
	command := values["GIT_SSH_COMMAND"]
	if command == "" {
		command, _ = run(ctx, env, "config", "--get", "core.sshCommand")
	}
	if command == "" {
		command = "ssh"
	}
	return []string{"GIT_SSH_COMMAND=" + command + " -o BatchMode=yes"}
}

// advise says how to give git what a server asked for.
func advise(err error) error {
	for _, sign := range []string{"could not read Username", "could not read Password", "Authentication failed", "Permission denied", "Host key verification failed"} {
		if strings.Contains(err.Error(), sign) {
			return fmt.Errorf("%w: retort asks for no password: let git know it, by a credential helper, ~/.netrc, an ssh agent or GIT_ASKPASS, and try git ls-remote with the URL", err)
		}
	}
	return err
}
