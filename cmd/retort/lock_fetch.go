package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/retort-build/retort/builder"
	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/internal/fetch"
	"github.com/retort-build/retort/layers"
)

// fetchSource brings a candidate into the store and fills in its size and
// digest. A download that was cut off goes on, if the digest is known.
func (l *locker) fetchSource(ctx context.Context, c *candidate) error {
	req := fetch.Request{URLs: c.urls, Digest: c.Digest, Size: c.Size, MaxSize: env.MaxSource}
	if l.t.interactive() {
		var arrived int64
		what := fmt.Sprintf("retort: fetch %s %s", c.Tool, c.Version)
		l.t.show(what)
		req.Progress = func(n int64) {
			arrived += n
			line := what + ", " + bytesText(arrived)
			if c.Size > 0 {
				line += " of " + bytesText(c.Size)
			}
			l.t.show(line)
		}
		defer l.t.show("")
	}
	if c.Digest == "" {
		var err error
		c.Digest, c.Size, err = builder.Ingest(ctx, l.store, "", func(to fetch.Sink) error {
			if _, err := l.archive.Fetch.Get(ctx, req, to); err != nil {
				return err
			}
			return c.check(to.(fetch.File).File)
		})
		return err
	}
	size := c.Size
	if size == 0 {
		size = -1
	}
	err := builder.FetchBlob(ctx, l.store, c.Digest, size, func(to fetch.Sink) error {
		_, err := l.archive.Fetch.Get(ctx, req, to)
		return err
	})
	if err != nil {
		return err
	}
	blob, err := l.store.OpenBlob(ctx, c.Digest)
	if err != nil {
		return err
	}
	defer blob.Close()
	c.Size = blob.Size()
	return c.check(io.NewSectionReader(blob, 0, blob.Size()))
}

// check runs the place's own check of the file, from its start.
func (c *candidate) check(file io.ReadSeeker) error {
	if c.verify == nil {
		return nil
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := c.verify(file); err != nil {
		return &unverifiedError{err}
	}
	return nil
}

// takeFile brings a local file into the store.
func (l *locker) takeFile(ctx context.Context, file env.File, c *candidate) error {
	f, err := openSourceFile(file.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	want := c.Digest
	c.Digest, c.Size, err = builder.Ingest(ctx, l.store, want, func(to fetch.Sink) error {
		_, err := io.Copy(to, f)
		return err
	})
	var wrong *layers.DigestError
	if errors.As(err, &wrong) {
		return &hintError{fmt.Errorf("%s: wrong digest: want %s, got %s", file.Rel, wrong.Want, wrong.Got), "if the file was changed on purpose, put its sha256 into toolchain." + c.Tool}
	}
	return err
}
