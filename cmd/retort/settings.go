package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/retort-build/retort/env/debian"
	"github.com/retort-build/retort/layers"
)

// Settings are what a user sets for all projects, in the environment and in
// ~/.config/retort/config.toml. They say where things are fetched from and
// kept, never what is built.
type settings struct {
	home string // RETORT_HOME
	file settingsFile
}

// settingsFile is the configuration file.
type settingsFile struct {
	Debian struct {
		Mirror   string `toml:"mirror"`   // as RETORT_DEBIAN_MIRROR
		Snapshot string `toml:"snapshot"` // base of a snapshot service, or "none"
	} `toml:"debian"`
	Hex struct {
		Mirror    string `toml:"mirror"`     // base of a mirror of repo.hex.pm
		PublicKey string `toml:"public_key"` // PEM file of the key that signs the mirror's registry, if not hex.pm's
	} `toml:"hex"`
	NPM struct {
		Registry string `toml:"registry"` // base of an npm registry
	} `toml:"npm"`
	Upstream struct {
		GitHub    string `toml:"github"`     // base of a mirror of github.com
		OpenSSL   string `toml:"openssl"`    // base of a mirror of www.openssl.org
		HexBuilds string `toml:"hex_builds"` // base of a mirror of builds.hex.pm
	} `toml:"upstream"`
}

func loadSettings() (settings, error) {
	var s settings
	var err error
	if s.home, err = homeFor("RETORT_HOME", "retort"); err != nil {
		return s, err
	}
	path := os.Getenv("RETORT_CONFIG")
	named := path != ""
	if !named {
		dir, err := os.UserConfigDir()
		if err != nil {
			return s, nil // no home: no file
		}
		path = filepath.Join(dir, "retort", "config.toml")
	}
	meta, err := toml.DecodeFile(path, &s.file)
	if errors.Is(err, fs.ErrNotExist) && !named {
		return s, nil
	}
	if err != nil {
		return s, fmt.Errorf("read configuration %s: %w", path, err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		var names []string
		for _, k := range unknown {
			names = append(names, k.String())
		}
		sort.Strings(names)
		return s, fmt.Errorf("read configuration %s: unknown keys: %s (known: debian.mirror, debian.snapshot, hex.mirror, hex.public_key, npm.registry, upstream.github, upstream.hex_builds, upstream.openssl)", path, strings.Join(names, ", "))
	}
	return s, nil
}

func homeFor(variable, name string) (string, error) {
	if dir := os.Getenv(variable); dir != "" {
		return filepath.Abs(dir)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a place for the store: %w: set %s", err, variable)
	}
	return filepath.Join(cache, name), nil
}

func (s settings) openStore() (*layers.Store, error) {
	return layers.Open(filepath.Join(s.home, "store"))
}

// mirrors are where Debian packages come from: what the environment says, else
// the configuration file, else this machine's APT sources; and behind each of
// them the snapshot service.
func (s settings) mirrors() (debian.Mirrors, error) {
	var m debian.Mirrors
	var err error
	base := os.Getenv("RETORT_DEBIAN_MIRROR")
	if base == "" {
		base = s.file.Debian.Mirror
	}
	if base != "" {
		m, err = debian.FromBase(base)
	} else {
		m, err = debian.FromAPT("/")
	}
	m.Snapshot = s.file.Debian.Snapshot
	return m, err
}
