package main

import (
	"cmp"
	"fmt"
	"os"

	"github.com/retort-build/retort/env/upstream"
)

// upstream is where source releases come from: what the environment says, else
// the configuration file, else the public services.
func (s settings) upstream() (upstream.Bases, error) {
	bases := upstream.Bases{
		GitHub:    cmp.Or(os.Getenv("RETORT_UPSTREAM_GITHUB"), s.file.Upstream.GitHub),
		OpenSSL:   cmp.Or(os.Getenv("RETORT_UPSTREAM_OPENSSL"), s.file.Upstream.OpenSSL),
		HexBuilds: cmp.Or(os.Getenv("RETORT_UPSTREAM_HEX_BUILDS"), s.file.Upstream.HexBuilds),
	}
	if err := bases.Check(); err != nil {
		return bases, fmt.Errorf("read settings: %w", err)
	}
	return bases, nil
}
