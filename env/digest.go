package env

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
)

// lockFormat salts LockDigest. It changes when the text below or its meaning
// does, which makes all locks stale.
const lockFormat = "retort manifest for lock 2"

// LockDigest is the sha256 of the parts of the manifest that its lock depends
// on: toolchain, matrix, base, nif, packages of generate and assets,
// asset tools, rebar3 plugins, what the image needs from the
// distribution, and the platforms. Nothing else makes a lock stale.
func (m *Manifest) LockDigest() digest.Digest {
	sum := sha256.Sum256(m.lockText())
	return digest.NewDigestFromBytes(digest.SHA256, sum[:])
}

// CheckLock returns *StaleLockError if the lock was not made for this manifest.
func (m *Manifest) CheckLock(l *Lock) error {
	if want := m.LockDigest(); l.Manifest != want {
		return &StaleLockError{Want: want, Got: l.Manifest}
	}
	return nil
}

// lockText is what LockDigest hashes: a line for each value. A target whose
// values equal those of the build without a target leaves no trace.
func (m *Manifest) lockText() []byte {
	var b strings.Builder
	b.WriteString(lockFormat + "\n")
	for _, p := range m.platforms {
		plain := m.configText(p, "")
		fmt.Fprintf(&b, "platform %q\n%s", p, plain)
		for _, target := range m.targets {
			if t := m.configText(p, target); t != plain {
				fmt.Fprintf(&b, "target %q on %q\n%s", target, p, t)
			}
		}
		for _, cell := range m.cells {
			for _, target := range append([]string{""}, m.targets...) {
				fmt.Fprintf(&b, "cell %q of %q on %q\n%s", cell, target, p, toolchainText(m.toolchain(p, target, cell)))
			}
		}
	}
	return []byte(b.String())
}

func (m *Manifest) configText(p Platform, target string) string {
	c := m.config(p, target, Cell{})
	var b strings.Builder
	b.WriteString(toolchainText(c.Toolchain))
	line := func(key string, value any) { fmt.Fprintf(&b, "%s = %q\n", key, value) }
	// The order of packages means nothing: moving one leaves the lock valid.
	set := func(key string, names []string) {
		names = slices.Sorted(slices.Values(names))
		line(key, names)
	}
	line("base.distribution", c.Base.Distribution)
	line("base.suite", c.Base.Suite)
	line("base.snapshot", c.Base.Snapshot)
	set("base.components", c.Base.Components)
	set("base.packages", c.Base.Packages)
	set("base.allow_expired", c.Base.AllowExpired)
	line("base.keyring", m.effective(p, target).sub("base").file("keyring").written)
	for _, n := range c.NIFs {
		set("nif."+n.Dep+".build", n.Build)
		if n.Runtime != nil { // named as none is not the same as not named
			set("nif."+n.Dep+".runtime", n.Runtime)
		}
	}
	for _, g := range c.Generate { // one without packages needs the compilers
		set("generate."+g.Name+".packages", g.Packages)
	}
	if c.Assets != nil {
		set("assets.packages", c.Assets.Packages)
		for _, tool := range c.Assets.Tools {
			line("assets.tools."+tool.Name+".version", tool.Version)
			line("assets.tools."+tool.Name+".url", tool.URL)
		}
	}
	for _, plugin := range c.Hex.Plugins {
		line("hex.plugins."+plugin.Name, plugin.Version)
	}
	set("image.packages", c.Image.Packages)
	fmt.Fprintf(&b, "image.shell = %t\n", c.Image.Shell)
	fmt.Fprintf(&b, "image.ca_certificates = %t\n", c.Image.CACertificates)
	fmt.Fprintf(&b, "image.timezones = %t\n", c.Image.Timezones)
	return b.String()
}

// toolchainText leaves out what says how a tool is built: its lock is the same.
func toolchainText(t Toolchain) string {
	var b strings.Builder
	line := func(key, value string) { fmt.Fprintf(&b, "toolchain.%s = %q\n", key, value) }
	for _, s := range []ToolSpec{t.OTP, t.Elixir, t.OpenSSL, t.Hex, t.Rebar3} {
		line(s.Tool, s.Version)
	}
	line("from", FromDebian) // as all locks have it that were made before tools had their own
	for _, s := range t.FromSource() {
		line(s.Tool+".source", s.Want())
		if s.Digest != "" {
			line(s.Tool+".sha256", string(s.Digest))
		}
	}
	return b.String()
}
