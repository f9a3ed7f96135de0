package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/env/hex"
	"github.com/retort-build/retort/internal/fetch"
	"github.com/retort-build/retort/layers"
)

// hexRepos are the repositories that packages come from, and how their keys
// were found.
type hexRepos struct {
	list   []hex.Repo
	origin map[string]string // by repository: where its key stands
	wanted map[string]string // by repository: the variable that the manifest has for it
}

// maxHexKey bounds a file with a key.
const maxHexKey = 64 << 10

// findHexRepos gathers the repositories of the manifest and of mix.lock. A key
// comes from the variable or the file that the manifest names; where it names
// none, from the variables of Hex and from what mix hex.repo and mix
// hex.organization keep in hex.config, in that order.
func findHexRepos(c env.Config, s settings, locked []hex.Locked, warn func(format string, args ...any)) (hexRepos, error) {
	h := hexRepos{origin: map[string]string{}, wanted: map[string]string{}}
	public, err := publicRepo(s)
	if err != nil {
		return h, err
	}
	h.list = []hex.Repo{public}
	for _, r := range c.Hex.Repos {
		repo, err := h.fromManifest(r, warn)
		if err != nil {
			return h, err
		}
		h.put(repo)
	}
	for _, l := range locked {
		if l.Kind == hex.Package && l.Repo != hex.DefaultRepo {
			if err := h.complete(c, l.Repo, warn); err != nil {
				return h, err
			}
		}
	}
	return h, nil
}

// publicRepo is hexpm with the mirrors that the user configured.
func publicRepo(s settings) (hex.Repo, error) {
	repo := hex.Repo{Name: hex.DefaultRepo}
	if mirror := s.file.Hex.Mirror; mirror != "" {
		repo.Mirrors = []string{mirror}
	}
	if mirror := firstEnv("HEX_MIRROR", "HEX_MIRROR_URL"); mirror != "" {
		repo.Mirrors = append([]string{mirror}, repo.Mirrors...)
	}
	if mirror := firstEnv("HEX_TRUSTED_MIRROR", "HEX_TRUSTED_MIRROR_URL"); mirror != "" {
		repo.Mirrors, repo.TrustMirrors, repo.Key = []string{mirror}, true, hex.Secret(os.Getenv("HEX_REPOS_KEY"))
	}
	if file := s.file.Hex.PublicKey; file != "" {
		pem, err := os.ReadFile(file)
		if err != nil {
			return repo, fmt.Errorf("read hex.public_key of the configuration: %w", err)
		}
		repo.PublicKey = pem
	}
	return repo, nil
}

func firstEnv(names ...string) string {
	for _, name := range names {
		if value := os.Getenv(name); value != "" {
			return value
		}
	}
	return ""
}

// fromManifest is a repository of the manifest, with its key.
func (h *hexRepos) fromManifest(r env.HexRepo, warn func(format string, args ...any)) (hex.Repo, error) {
	repo := hex.Repo{Name: r.Name, URL: r.URL, Key: hex.Secret(os.Getenv(r.AuthEnv))}
	h.wanted[r.Name] = r.AuthEnv
	if r.PublicKey != "" {
		pem, err := os.ReadFile(filepath.FromSlash(r.PublicKey))
		if err != nil {
			return repo, fmt.Errorf("read public key of Hex repository %s: %w", r.Name, err)
		}
		repo.PublicKey = pem
	}
	if repo.Key != "" {
		h.origin[r.Name] = "variable " + r.AuthEnv
	} else if r.AuthFile != "" {
		key, err := readKey(r.AuthFile, warn)
		if err != nil {
			return repo, fmt.Errorf("read key of Hex repository %s: %w", r.Name, err)
		}
		repo.Key, h.origin[r.Name] = key, r.AuthFile
	}
	return repo, nil
}

// readKey reads a file that holds a key and nothing else.
func readKey(name string, warn func(format string, args ...any)) (hex.Secret, error) {
	file := name
	if rest, ok := strings.CutPrefix(name, "~/"); ok {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		file = filepath.Join(home, rest)
	}
	info, err := os.Stat(file)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() || info.Size() > maxHexKey {
		return "", fmt.Errorf("%s: want a file with a key and nothing else", name)
	}
	if info.Mode().Perm()&0o077 != 0 {
		warn("%s holds a key and others can read it: chmod 600 %s", name, name)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	key := strings.TrimSpace(string(data))
	if key == "" || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("%s: want a file with a key and nothing else", name)
	}
	return hex.Secret(key), nil
}

// checkAuthFiles refuses keys in the project's source, which becomes layers.
func checkAuthFiles(c env.Config, dir string, source []layers.SourceFile) error {
	for _, r := range c.Hex.Repos {
		rel, err := filepath.Rel(dir, r.AuthFile)
		if r.AuthFile == "" || err != nil {
			continue
		}
		if slices.ContainsFunc(source, func(f layers.SourceFile) bool { return f.Path == filepath.ToSlash(rel) }) {
			return fmt.Errorf("hex.repos.%s.auth_file: %s is part of the project's source, which becomes a layer: move it out, or have .gitignore exclude it", r.Name, r.AuthFile)
		}
	}
	return nil
}

// put adds a repository, or replaces what is known of it.
func (h *hexRepos) put(repo hex.Repo) {
	i := slices.IndexFunc(h.list, func(r hex.Repo) bool { return r.Name == repo.Name })
	if i < 0 {
		h.list = append(h.list, repo)
		return
	}
	if old := h.list[i]; repo.Name == hex.DefaultRepo {
		repo.Mirrors, repo.TrustMirrors = old.Mirrors, old.TrustMirrors
		if repo.Key == "" {
			repo.Key = old.Key
		}
		if repo.PublicKey == nil && repo.URL == "" {
			repo.PublicKey = old.PublicKey
		}
	}
	h.list[i] = repo
}

// complete finds the key of a private repository that mix.lock names, and of
// one that the manifest does not have its address, too.
func (h *hexRepos) complete(c env.Config, name string, warn func(format string, args ...any)) error {
	repo := hex.Repo{Name: name}
	i := slices.IndexFunc(h.list, func(r hex.Repo) bool { return r.Name == name })
	j := slices.IndexFunc(c.Hex.Repos, func(r env.HexRepo) bool { return r.Name == name })
	if i >= 0 {
		repo = h.list[i]
	}
	named := j >= 0 && (c.Hex.Repos[j].AuthFile != "" || c.Hex.Repos[j].AuthEnv != env.DefaultAuthEnv(name))
	if repo.Key != "" || named {
		return nil
	}
	variables := []string{env.DefaultAuthEnv(name)}
	if strings.HasPrefix(name, hex.DefaultRepo+":") {
		variables = append(variables, "HEX_REPOS_KEY", "HEX_API_KEY")
	}
	for _, v := range variables {
		if key := os.Getenv(v); key != "" {
			repo.Key, h.origin[name] = hex.Secret(key), "variable "+v
			break
		}
	}
	if repo.Key == "" || i < 0 {
		if err := h.fromUser(&repo, warn); err != nil {
			return err
		}
	}
	if i < 0 && repo.URL == "" && !strings.Contains(name, ":") {
		return nil // unknown: hex says so where a package of it is wanted
	}
	h.put(repo)
	return nil
}

// fromUser takes what hex.config says of a repository and is not known yet.
func (h *hexRepos) fromUser(repo *hex.Repo, warn func(format string, args ...any)) error {
	file, user, err := userHex(warn)
	if err != nil {
		return err
	}
	for _, r := range user.Repos {
		if r.Name != repo.Name {
			continue
		}
		if repo.URL == "" && len(repo.PublicKey) == 0 {
			repo.URL, repo.PublicKey = r.URL, r.PublicKey
		}
		if repo.Key == "" && r.Key != "" {
			repo.Key, h.origin[repo.Name] = r.Key, file
		}
	}
	if repo.Key == "" && user.ReposKey != "" && strings.HasPrefix(repo.Name, hex.DefaultRepo+":") {
		repo.Key, h.origin[repo.Name] = user.ReposKey, file
	}
	return nil
}

// userHex reads the user's hex.config, which need not exist.
func userHex(warn func(format string, args ...any)) (string, hex.UserConfig, error) {
	dir := os.Getenv("HEX_HOME")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", hex.UserConfig{}, nil //nolint:nilerr // no home: no file
		}
		dir = filepath.Join(home, ".hex")
		if xdg := os.Getenv("MIX_XDG"); xdg == "1" || xdg == "true" {
			if dir, err = os.UserConfigDir(); err != nil {
				return "", hex.UserConfig{}, err
			}
			dir = filepath.Join(dir, "hex")
		}
	}
	file := filepath.Join(dir, "hex.config")
	info, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return file, hex.UserConfig{}, nil
	}
	if err != nil {
		return file, hex.UserConfig{}, err
	}
	if info.Mode().Perm()&0o007 != 0 && info.Mode().IsRegular() {
		warn("%s may hold keys and everybody can read it: chmod 600 %s", file, file)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return file, hex.UserConfig{}, err
	}
	user, err := hex.ParseUserConfig(data)
	return file, user, err
}

// explain says what to set when a repository refuses a package.
func (h hexRepos) explain(l hex.Locked, err error) error {
	var status *fetch.StatusError
	var gone *fetch.NotFoundError
	private := l.Repo != hex.DefaultRepo
	refused := errors.As(err, &status) && (status.Code == 401 || status.Code == 403)
	if !refused && (!private || !errors.As(err, &gone)) {
		return err
	}
	variable := h.wanted[l.Repo]
	if variable == "" {
		variable = env.DefaultAuthEnv(l.Repo)
	}
	ways := "set " + variable
	if strings.HasPrefix(l.Repo, hex.DefaultRepo+":") {
		ways += " or HEX_REPOS_KEY"
	}
	ways += fmt.Sprintf(", or name a file with the key in toolchain.toml: [hex.repos.%q] auth_file", l.Repo)
	if origin := h.origin[l.Repo]; origin != "" {
		return fmt.Errorf("repository %s has no %s-%s for the key in %s: %s: %v", l.Repo, l.Name, l.Version, origin, ways, err) //nolint:errorlint // a private package is gone by no mirror
	}
	return fmt.Errorf("repository %s wants a key for %s-%s and none is known: %s: %v", l.Repo, l.Name, l.Version, ways, err) //nolint:errorlint // as above
}
