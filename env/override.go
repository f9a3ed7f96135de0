package env

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
)

// For returns what the manifest asks for on a platform and for a target; ""
// is the build without a target. Overrides of the platform go over the
// manifest's own keys, and those of the target over both.
func (m *Manifest) For(p Platform, target string) (Config, error) {
	return m.ForCell(p, target, Cell{})
}

// ForCell is For with a cell of the matrix over all overrides.
func (m *Manifest) ForCell(p Platform, target string, cell Cell) (Config, error) {
	if !slices.Contains(m.platforms, p) {
		return Config{}, fmt.Errorf("platform %s: manifest has %s", quote(string(p)), listing(m.platforms))
	}
	if target != "" && !slices.Contains(m.targets, target) {
		if len(m.targets) == 0 {
			return Config{}, fmt.Errorf("target %s: manifest has no targets", quote(target))
		}
		return Config{}, fmt.Errorf("target %s: manifest has %s", quote(target), listing(m.targets))
	}
	if cell != (Cell{}) && !slices.Contains(m.cells, cell) {
		return Config{}, fmt.Errorf("%s: not a cell of the matrix", cell)
	}
	return m.config(p, target, cell), nil
}

func listing[S ~string](names []S) string {
	all := make([]string, len(names))
	for i, n := range names {
		all[i] = string(n)
	}
	return strings.Join(all, ", ")
}

// effective is the manifest with the overrides of a platform and target.
func (m *Manifest) effective(p Platform, target string) table {
	t := merge(m.root, m.root.sub("platform").sub(p.Arch()))
	return merge(t, m.root.sub("target").sub(target))
}

// toolchain is that of a platform, target and cell that exist.
func (m *Manifest) toolchain(p Platform, target string, cell Cell) Toolchain {
	t := m.root.sub("toolchain")
	for _, over := range []table{m.root.sub("platform").sub(p.Arch()), m.root.sub("target").sub(target), cell.table()} {
		t = merge(t, over.sub("toolchain"))
	}
	return toolchainOf(t, filepath.Dir(m.files[0]))
}

// config builds the Config of a platform, target and cell that exist.
func (m *Manifest) config(p Platform, target string, cell Cell) Config {
	t := m.effective(p, target)
	return Config{
		Platform:  p,
		Target:    target,
		Cell:      cell,
		Method:    m.root.sub("platform").sub(p.Arch()).text("method", ""),
		Toolchain: m.toolchain(p, target, cell),
		Base:      baseOf(t.sub("base")),
		Hex:       hexOf(t.sub("hex")),
		NIFs:      nifsOf(t.sub("nif"), p),
		Deps:      depsOf(t.sub("deps")),
		Generate:  generateOf(t.sub("generate")),
		Assets:    assetsOf(t.sub("assets"), p),
		Release:   releaseOf(t.sub("release")),
		Image:     imageOf(t.sub("image")),
	}
}

func baseOf(t table) Base {
	b := Base{
		Distribution: t.text("distribution", "debian"),
		Suite:        t.text("suite", "trixie"),
		Snapshot:     t.text("snapshot", ""),
		Components:   t.list("components"),
		Packages:     t.list("packages"),
		AllowExpired: t.list("allow_expired"),
		Keyring:      t.file("keyring").path,
	}
	if b.Components == nil {
		b.Components = []string{"main"}
	}
	return b
}

func hexOf(t table) Hex {
	var h Hex
	repos := t.sub("repos")
	for _, name := range repos.names() {
		r := repos.sub(name)
		h.Repos = append(h.Repos, HexRepo{
			Name:      name,
			URL:       r.text("url", ""),
			PublicKey: r.file("public_key").path,
			AuthFile:  r.text("auth_file", ""),
			AuthEnv:   r.text("auth_env", DefaultAuthEnv(name)),
		})
	}
	plugins := t.texts("plugins")
	for _, name := range slices.Sorted(maps.Keys(plugins)) {
		h.Plugins = append(h.Plugins, HexPlugin{Name: name, Version: plugins[name]})
	}
	return h
}

// DefaultAuthEnv is the variable that holds a repository's key unless the manifest
// names another: hexpm:acme has RETORT_HEX_HEXPM_ACME_KEY.
func DefaultAuthEnv(repo string) string {
	upper := strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToUpper(repo))
	return "RETORT_HEX_" + upper + "_KEY"
}

func nifsOf(t table, p Platform) []NIF {
	var nifs []NIF
	for _, dep := range t.names() {
		n := t.sub(dep)
		n = merge(n, n.sub("platform").sub(p.Arch()))
		nif := NIF{Dep: dep, Build: n.list("build"), Runtime: n.list("runtime"), Method: n.text("method", "")}
		if environ := n.texts("env"); len(environ) > 0 {
			nif.Env = environ
		}
		if p := n.sub("precompiled"); p != nil {
			nif.Precompiled = &Precompiled{URL: p.text("url", ""), Digest: digest.NewDigestFromEncoded(digest.SHA256, p.text("sha256", ""))}
		}
		nifs = append(nifs, nif)
	}
	return nifs
}

func depsOf(t table) []Dep {
	var deps []Dep
	for _, app := range t.names() {
		deps = append(deps, Dep{App: app, ConfigApps: t.sub(app).list("config_apps")})
	}
	return deps
}

func generateOf(t table) []Generate {
	var out []Generate
	for _, name := range t.names() {
		g := t.sub(name)
		out = append(out, Generate{
			Name: name, Packages: g.list("packages"), Run: g.list("run"), Inputs: g.list("inputs"), Outputs: g.list("outputs"),
		})
	}
	return out
}

func releaseOf(t table) Release {
	r := Release{
		Name:      t.text("name", ""),
		Version:   Version{From: VersionMix},
		MixEnv:    t.text("mix_env", "prod"),
		MixTarget: t.text("mix_target", "host"),
		Config:    t.list("config"),
		VMArgs:    t.text("vm_args", ""),
	}
	if v, ok := t["version"].(Version); ok {
		r.Version = v
	}
	return r
}

func imageOf(t table) Image {
	return Image{
		Repository:     t.text("repository", ""),
		Ports:          t.list("ports"),
		User:           userOf(t),
		Env:            t.texts("env"),
		Labels:         t.texts("labels"),
		Volumes:        t.list("volumes"),
		Packages:       t.list("packages"),
		Shell:          t.flag("shell", false),
		CACertificates: t.flag("ca_certificates", true),
		Timezones:      t.flag("timezones", false),
		Cmd:            t.list("cmd"),
		StopSignal:     t.text("stop_signal", "SIGTERM"),
	}
}

func userOf(image table) User {
	uid, gid, _ := strings.Cut(image.text("user", "65532:65532"), ":")
	u, _ := parseID(uid) // the walker has checked both
	g, _ := parseID(gid)
	return User{UID: u, GID: g}
}

// check finds what is wrong with whole configurations rather than with single
// keys, over every platform and target.
func (m *Manifest) check(lines map[string]int) error {
	var errs ErrorList
	fail := func(key string, err error) { errs.add(m.files[0], lineOf(lines, key), key, err) }
	if len(m.platforms) == 0 {
		fail("platforms", errors.New("empty: want linux/amd64, linux/arm64 or both"))
	}
	if len(m.targets) > maxTargets {
		fail("target", fmt.Errorf("%d targets: want at most %d", len(m.targets), maxTargets))
		return errs.err()
	}
	for _, r := range hexOf(m.root.sub("hex")).Repos {
		if r.URL == "" && r.Name != "hexpm" && !strings.HasPrefix(r.Name, "hexpm:") {
			fail(joinKey(joinKey(joinKey("hex", "repos"), r.Name), "url"), errors.New("missing: where the repository is"))
		}
	}
	for _, target := range append([]string{""}, m.targets...) {
		for _, p := range m.platforms {
			m.checkConfig(p, target, fail)
		}
	}
	m.checkOneToolchain(fail)
	m.combine(fail)
	return errs.err()
}

// checkOneToolchain refuses overrides that a lock cannot hold: it has one
// version of a package for a platform, and one suite for all.
func (m *Manifest) checkOneToolchain(fail func(string, error)) {
	compare := func(at string, a, b Config) {
		for i, s := range b.Toolchain.All() {
			if o := a.Toolchain.All()[i]; s.From == FromDebian && o.From == FromDebian && s.Version != o.Version {
				fail(joinKey(joinKey(at, "toolchain"), s.Tool), errors.New("cannot differ: a lock holds one version of a Debian package for all platforms and targets"))
			}
		}
		// Of base only packages may differ.
		if a.Base.Suite != b.Base.Suite || a.Base.Snapshot != b.Base.Snapshot || a.Base.Keyring != b.Base.Keyring ||
			!slices.Equal(a.Base.Components, b.Base.Components) || !slices.Equal(a.Base.AllowExpired, b.Base.AllowExpired) {
			fail(joinKey(at, "base"), errors.New("only packages can differ: a lock holds one suite for all platforms and targets"))
		}
	}
	targets := append([]string{""}, m.targets...)
	for i, p := range m.platforms {
		for j, target := range targets {
			for _, other := range targets[:j] {
				if !sameTools(m.config(p, other, Cell{}).Assets, m.config(p, target, Cell{}).Assets) {
					fail(joinKey("target", target), errors.New("version and url of assets.tools cannot differ: a lock holds one tool of a name for all targets"))
				}
			}
		}
		plain := m.config(p, "", Cell{})
		if i > 0 {
			compare(joinKey("platform", p.Arch()), m.config(m.platforms[0], "", Cell{}), plain)
		}
		for _, target := range m.targets {
			compare(joinKey("target", target), plain, m.config(p, target, Cell{}))
		}
	}
}

func (m *Manifest) checkConfig(p Platform, target string, fail func(string, error)) {
	c := m.config(p, target, Cell{})
	checkPrecompiled(c.NIFs, fail)
	checkToolchain(c.Toolchain, m.effective(p, target).sub("toolchain"), fail)
	if len(c.Base.Components) == 0 {
		fail("base.components", errors.New(`empty: want at least "main"`))
	}
	for _, g := range c.Generate {
		at := joinKey("generate", g.Name)
		if len(g.Run) == 0 {
			fail(joinKey(at, "run"), errors.New("missing: the commands that generate, such as [\"./configure\"]"))
		}
		if len(g.Outputs) == 0 {
			fail(joinKey(at, "outputs"), errors.New("missing: the files and folders that the commands leave"))
		}
		if g.Inputs != nil && len(g.Inputs) == 0 {
			fail(joinKey(at, "inputs"), errors.New("empty: leave it out to show all files of the project"))
		}
	}
	checkAssets(c.Assets, fail)
	if c.Image.User.UID == 0 && !m.effective(p, target).sub("image").flag("allow_root", false) {
		fail("image.user", fmt.Errorf("%s is root: set allow_root = true if it must be", c.Image.User))
	}
	if c.Image.Cmd != nil && len(c.Image.Cmd) == 0 {
		fail("image.cmd", errors.New("empty: leave it out to start the release"))
	}
}

func checkPrecompiled(nifs []NIF, fail func(string, error)) {
	for _, n := range nifs {
		at := joinKey(joinKey("nif", n.Dep), "precompiled")
		switch p := n.Precompiled; {
		case p == nil:
		case p.URL == "":
			fail(joinKey(at, "url"), errors.New("missing: where the archive is"))
		case p.Digest.Encoded() == "":
			fail(joinKey(at, "sha256"), errors.New("missing: the archive's digest, as the package's checksum file has it"))
		}
	}
}
