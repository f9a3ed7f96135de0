package configure

import (
	"context"
	"fmt"
	"io"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/internal/tarball"
)

// Input is everything that a configuration layer depends on.
type Input struct {
	// Trees are the packages' layers. Where two hold the same path the later
	// one wins, as in a mount.
	Trees []Tree
	// Packages are what the trees hold, in any order.
	Packages []Package
	// Platform is the machine that the tree is for.
	Platform env.Platform
	// UsrMerge adds the links from bin, sbin, lib and lib64 into usr, which
	// base-files ships only since trixie.
	UsrMerge bool
}

// Tree is one layer on disk.
type Tree struct {
	// Dir is the host directory with its files.
	Dir string
	// Entries say what Dir holds, with the owners and modes the layer's tar
	// has. When nil, Dir is walked; everything belongs to root then.
	Entries []tarball.Entry
}

// Package is one unpacked package.
type Package struct {
	Name         string
	Version      string
	Architecture string
	Depends      []string // names of packages that must be configured before
}

// Report says what was done and what was left out.
type Report struct {
	Order        []string      // packages in the order they were configured
	Unknown      []Command     // commands nothing is known about
	Ignored      []Command     // commands left out on purpose
	Skipped      []Script      // scripts not run, or whose failure was accepted
	Users        []User        // users and groups made by scripts
	Alternatives []Alternative // links chosen by update-alternatives
	Removed      []string      // packaged paths that a script removed, which a layer cannot say
}

// Command is a call made by a maintainer script.
type Command struct {
	Package string
	Name    string
	Reason  string // why leaving it out is right; empty for unknown commands
}

// Script is a maintainer script.
type Script struct {
	Package string
	Name    string // "preinst" or "postinst"
	Reason  string
}

// User is an account made while configuring.
type User struct {
	Package string
	Name    string
	UID     int // -1 for a group without a user
	GID     int
}

// Alternative is a choice of the alternatives system.
type Alternative struct {
	Name string // of the group, or of a slave
	Link string
	Path string // what the link leads to
}

// Sink takes the entries of a layer. Add reads content to its end for files
// and gets nil for every other kind; an error stops the configuration.
type Sink interface {
	Add(e tarball.Entry, content io.Reader) error
}

// Layer adds what configuring the packages changes in their trees to the sink,
// with the directories above: parents first, siblings by name. The sink has seen an unknown part of the entries when there
// is an error.
func Layer(ctx context.Context, in Input, sink Sink) (Report, error) {
	rep, err := layer(ctx, in, sink)
	if err != nil {
		return rep, fmt.Errorf("configure packages: %w", err)
	}
	return rep, nil
}
