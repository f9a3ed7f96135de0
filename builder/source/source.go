// Package source lists the files of an application's source tree: what git
// tracks, or would track, and nothing that a build leaves behind.
//
// It feeds the plan. Two work trees with the same files give the same list,
// wherever they lie and whoever owns them: of a file only its path, whether it
// is executable, and its content count. Cached content hashes (see Cache) make
// a second listing cost one lstat a file.
package source

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/retort-build/retort/layers"
)

// Bounds on a source tree. An application that exceeds them has something in
// its folder that does not belong to its source.
const (
	maxFiles    = 200_000
	maxFileSize = 1 << 30
)

// skipped are folders and files that are never source: results of Mix, of
// retort and of editors, and what is another input. Matched by base name at
// the root of the project and of each umbrella application.
var skipped = []string{"_build", "deps", "dist", "cover", "doc", ".git", ".hg", ".elixir_ls", ".lexical", ".retort", "node_modules", "erl_crash.dump"}

// own are retort's files beside the source; they reach the build through the
// plan and not as files.
var own = []string{"toolchain.toml", "toolchain.lock"}

// List returns the files of the tree below dir, sorted by path. In a git work
// tree these are the tracked files and those that .gitignore does not exclude;
// the user's own excludes do not count, as they differ between machines.
func List(ctx context.Context, dir string, cache *Cache) ([]layers.SourceFile, error) {
	paths, err := list(ctx, dir)
	if err != nil {
		return nil, fmt.Errorf("list source of %s: %w", dir, err)
	}
	if len(paths) > maxFiles {
		return nil, fmt.Errorf("list source of %s: more than %d files: does a .gitignore miss a folder?", dir, maxFiles)
	}
	files := make([]layers.SourceFile, 0, len(paths))
	for _, path := range paths {
		f, err := describe(dir, path, cache)
		if errors.Is(err, fs.ErrNotExist) {
			continue // tracked, but deleted in the work tree
		}
		if err != nil {
			return nil, fmt.Errorf("list source of %s: %w", dir, err)
		}
		files = append(files, f)
	}
	return files, nil
}

func list(ctx context.Context, dir string) ([]string, error) {
	var paths []string
	var err error
	if InGit(dir) {
		paths, err = gitFiles(ctx, dir)
	} else {
		paths, err = walk(dir)
	}
	if err != nil {
		return nil, err
	}
	paths = slices.DeleteFunc(paths, func(p string) bool { return skip(p) })
	slices.Sort(paths)
	return slices.Compact(paths), nil
}

// InGit reports whether dir or a folder above it is a git work tree.
func InGit(dir string) bool {
	for {
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
			return true
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return false
		}
		dir = parent
	}
}

func gitFiles(ctx context.Context, dir string) ([]string, error) {
	out, err := Git(ctx, dir, "ls-files", "-z", "--cached", "--others", "--exclude-per-directory=.gitignore")
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, p := range bytes.Split(out, []byte{0}) {
		// A folder name with a slash is a repository within this one: not ours.
		if len(p) > 0 && p[len(p)-1] != '/' {
			paths = append(paths, string(p))
		}
	}
	return paths, nil
}

// Git runs git in dir, with nothing of the user's configuration or environment
// deciding.
func Git(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", dir, "-c", "core.quotePath=false", "-c", "safe.directory=*"}, args...)...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "GIT_") })
	cmd.Env = append(cmd.Env, "GIT_OPTIONAL_LOCKS=0", "LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return nil, fmt.Errorf("%s is a git work tree, and git is not installed: install git", dir)
	}
	if err != nil {
		return nil, fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return out, nil
}

// Clean reports whether the source, manifest and lock below dir are those of
// git's last commit. What is never source, such as the results of an earlier
// build, does not count.
func Clean(ctx context.Context, dir string) (bool, error) {
	var changed, added []byte
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		changed, err = Git(ctx, dir, "diff", "--no-ext-diff", "--no-textconv", "--no-renames", "--name-only", "--relative", "-z", "HEAD", "--", ".")
		return err
	})
	group.Go(func() (err error) {
		added, err = Git(ctx, dir, "ls-files", "-z", "--others", "--exclude-per-directory=.gitignore")
		return err
	})
	if err := group.Wait(); err != nil {
		return false, err
	}
	for p := range bytes.SplitSeq(append(changed, added...), []byte{0}) {
		path := string(p)
		if path == "" || path[len(path)-1] == '/' { // a repository within this one, see gitFiles
			continue
		}
		if slices.Contains(own, path) || !skip(path) {
			return false, nil
		}
	}
	return true, nil
}

func walk(dir string) ([]string, error) {
	var paths []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil || rel == "." {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			if skip(rel) {
				return fs.SkipDir
			}
			return nil
		}
		paths = append(paths, rel)
		return nil
	})
	return paths, err
}

// skip reports whether a path is no source, as it lies in or is one of the
// skipped names.
func skip(path string) bool {
	if slices.Contains(own, path) {
		return true
	}
	first, rest, nested := strings.Cut(path, "/")
	if slices.Contains(skipped, first) {
		return true
	}
	if first == "apps" && nested {
		if _, inner, ok := strings.Cut(rest, "/"); ok {
			name, _, _ := strings.Cut(inner, "/")
			return slices.Contains(skipped, name)
		}
	}
	base := path[strings.LastIndexByte(path, '/')+1:]
	return base == ".git" || base == "node_modules" || strings.Contains(path, "/node_modules/")
}

func describe(dir, path string, cache *Cache) (layers.SourceFile, error) {
	full := filepath.Join(dir, filepath.FromSlash(path))
	info, err := os.Lstat(full)
	if err != nil {
		return layers.SourceFile{}, err
	}
	f := layers.SourceFile{Path: path, Mode: 0o644}
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		f.Mode = 0o777
		if f.Link, err = os.Readlink(full); err != nil {
			return f, err
		}
		return f, nil
	case !info.Mode().IsRegular():
		return f, fmt.Errorf("%s is a %s: a source tree holds files, folders and symbolic links", path, info.Mode().Type())
	case info.Size() > maxFileSize:
		return f, fmt.Errorf("%s has %d bytes, more than %d: does .gitignore miss it?", path, info.Size(), maxFileSize)
	}
	if info.Mode()&0o100 != 0 {
		f.Mode = 0o755
	}
	f.Size = info.Size()
	if d, ok := cache.lookup(path, info); ok {
		f.Digest = d
		return f, nil
	}
	f.Digest, f.Size, err = hash(full)
	if err != nil {
		return f, err
	}
	cache.remember(path, info, f.Digest)
	return f, nil
}

func hash(path string) (digest.Digest, int64, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer file.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, io.LimitReader(file, maxFileSize+1))
	if err != nil {
		return "", 0, err
	}
	return digest.NewDigest(digest.SHA256, sum), n, nil
}
