package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/retort-build/retort/env/npm"
)

// npmRegistry is where packages of npm come from: what the environment says,
// else the configuration file, else ~/.npmrc, else what npm itself would ask.
func (s settings) npmRegistry() (npm.Registry, error) {
	base, err := s.npmBase()
	return npm.Registry{Base: base, Ask: askNPM}, err
}

// askNPM asks the npm program, if there is one, for its registry.
func askNPM() (string, error) {
	program, err := exec.LookPath("npm")
	if err != nil {
		return "", npm.ErrNoRegistry
	}
	out, err := exec.Command(program, "config", "get", "registry").Output()
	if err != nil {
		return "", fmt.Errorf("ask npm for its registry: %w: set RETORT_NPM_REGISTRY", err)
	}
	return strings.TrimSpace(string(out)), nil
}

func (s settings) npmBase() (string, error) {
	registry := s.file.NPM.Registry
	for _, name := range []string{"npm_config_registry", "NPM_CONFIG_REGISTRY", "RETORT_NPM_REGISTRY"} {
		if value := os.Getenv(name); value != "" {
			registry = value
		}
	}
	if registry == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", nil // no home: no file
		}
		if registry, err = npmrcRegistry(filepath.Join(home, ".npmrc")); err != nil {
			return "", err
		}
	}
	if registry == "" {
		return "", nil
	}
	return registry, npm.CheckBase(registry)
}

// maxNPMRC bounds a .npmrc.
const maxNPMRC = 1 << 20

// npmrcRegistry reads the registry out of a .npmrc: lines of a key, = and a
// value, which may be in quotes. The last one holds. What npm would take from
// the environment (${NAME}) is not looked up: such a value does not count.
func npmrcRegistry(path string) (string, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxNPMRC))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	registry := ""
	for line := range strings.Lines(string(data)) {
		key, value, ok := strings.Cut(line, "=")
		if !ok || strings.TrimSpace(key) != "registry" {
			continue
		}
		value = strings.Trim(strings.TrimSpace(value), `"'`)
		if !strings.Contains(value, "${") {
			registry = value
		}
	}
	return registry, nil
}
