package upstream

import (
	"context"
	"fmt"
	"slices"

	"github.com/retort-build/retort/env"
)

// list is what a project has released.
type list struct {
	versions []string          // newest first
	commits  map[string]string // by version
	builds   map[string]string // by tag, as builds.hex.pm has them; nil if it did not say
	// missing says why GitHub did not give the list, which is of builds.hex.pm
	// then; nil if it did.
	missing error
}

// list asks for a project's releases, once.
func (c *Client) list(ctx context.Context, t *tool) (*list, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l := c.lists[t.name]; l != nil {
		return l, nil
	}
	l, err := c.load(ctx, t)
	if err != nil {
		return nil, err
	}
	if c.lists == nil {
		c.lists = make(map[string]*list)
	}
	c.lists[t.name] = l
	return l, nil
}

// load asks the git server for the tags, and builds.hex.pm where its list is the
// only other witness, or where the git server does not answer.
func (c *Client) load(ctx context.Context, t *tool) (*list, error) {
	l := &list{commits: make(map[string]string)}
	tags, err := c.tags(ctx, t)
	if t.builds != "" && (err != nil || !t.publishes()) && ctx.Err() == nil {
		var missing error
		if l.builds, missing = c.builds(ctx, t); missing == nil && err != nil {
			tags, l.missing, err = l.builds, err, nil
		} else if missing != nil && err != nil {
			err = fmt.Errorf("%w; %w", err, missing)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, advice)
	}
	for tag, commit := range tags {
		if version, ok := t.version(tag); ok {
			l.commits[version] = commit
			l.versions = append(l.versions, version)
		}
	}
	slices.SortFunc(l.versions, func(a, b string) int { return env.CompareVersions(b, a) })
	if len(l.versions) == 0 {
		return nil, fmt.Errorf("list the tags of %s: none of the %d there are is a release's: %s", t.repo, len(tags), advice)
	}
	return l, nil
}

// tags asks the git server for the tags of a project.
func (c *Client) tags(ctx context.Context, t *tool) (map[string]string, error) {
	url := c.Bases.github(t.repo + ".git/info/refs?service=git-upload-pack")
	data, err := c.get(ctx, []string{url}, maxRefs)
	if err == nil {
		var tags map[string]string
		if tags, err = parseRefs(data); err == nil {
			return tags, nil
		}
		err = fmt.Errorf("%s: %w", redact(url), err)
	}
	return nil, fmt.Errorf("list the tags of %s: %w", t.repo, err)
}

// builds asks builds.hex.pm which tags of a project it built.
func (c *Client) builds(ctx context.Context, t *tool) (map[string]string, error) {
	urls, err := c.Locate(HexBuilds + t.builds)
	if err != nil {
		return nil, err
	}
	data, err := c.get(ctx, urls, maxBuilds)
	if err == nil {
		var builds map[string]string
		if builds, err = parseBuilds(data); err == nil {
			return builds, nil
		}
		err = fmt.Errorf("%s: %w", redact(urls[0]), err)
	}
	return nil, fmt.Errorf("list the builds of %s: %w", t.name, err)
}
