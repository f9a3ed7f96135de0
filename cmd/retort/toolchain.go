package main

import (
	"fmt"
	"path"
	"path/filepath"
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/builder"
	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/layers"
)

// maxPatch bounds the bytes of one patch.
const maxPatch = 64 << 20

// toolchain gathers what is compiled from source.
func (w *workspace) toolchain() (builder.Toolchain, error) {
	t := builder.Toolchain{Platform: w.config.Platform, Root: func(tool string) (layers.RootFS, error) {
		name, build := "configure:"+tool, env.ToolBuildSet(tool)
		if slices.Contains([]string{env.ToolOTP, env.ToolCrypto, env.ToolOpenSSL}, tool) {
			return w.rootFS(name, build)
		}
		return w.programRoot(name, build)
	}}
	places := map[string]**builder.Source{
		env.ToolOpenSSL: &t.OpenSSL, env.ToolOTP: &t.OTP, env.ToolElixir: &t.Elixir, env.ToolHex: &t.Hex, env.ToolRebar3: &t.Rebar3,
	}
	for _, spec := range w.config.Toolchain.FromSource() {
		s, err := w.toolSource(spec)
		if err != nil {
			return t, err
		}
		*places[spec.Tool] = s
	}
	return t, nil
}

// toolSource is how one tool is compiled: as the manifest says, from what the
// lock pins.
func (w *workspace) toolSource(spec env.ToolSpec) (*builder.Source, error) {
	pin, ok := w.lock.Source(spec.Tool, spec.Want())
	if !ok {
		return nil, fmt.Errorf("%w: it has no source of %s %s", env.ErrLockLacks, spec.Tool, spec.Want())
	}
	s := &builder.Source{
		Archive:   layers.Archive{Name: spec.Tool, Version: pin.Version, Digest: pin.Digest, Size: pin.Size},
		Configure: spec.Configure, CFlags: spec.CFlags, LDFlags: spec.LDFlags, Without: spec.Without,
		Static: spec.Link == env.LinkStatic,
	}
	for _, pattern := range spec.Patches {
		names, err := pattern.Files()
		if err != nil {
			return nil, fmt.Errorf("toolchain.%s.patches: %w", spec.Tool, err)
		}
		for _, name := range names {
			f, err := w.patch(name, len(s.Patches))
			if err != nil {
				return nil, fmt.Errorf("toolchain.%s.patches: %w", spec.Tool, err)
			}
			s.Patches = append(s.Patches, f)
		}
	}
	return s, nil
}

// patch is a patch as the step that applies it sees it. Its name there says when
// it is its turn.
func (w *workspace) patch(name string, turn int) (layers.SourceFile, error) {
	data, err := env.ReadRegular(name, maxPatch)
	if err != nil {
		return layers.SourceFile{}, err
	}
	at := path.Join(builder.PatchFolder, fmt.Sprintf("%03d-%s", turn, filepath.Base(name)))
	d := digest.FromBytes(data)
	w.patches[d] = name
	return layers.SourceFile{Path: at, Mode: 0o644, Digest: d, Size: int64(len(data))}, nil
}
