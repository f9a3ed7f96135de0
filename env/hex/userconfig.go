package hex

import (
	"errors"
	"fmt"
)

// UserConfig is what the tasks mix hex.repo and mix hex.organization keep in
// the file hex.config.
type UserConfig struct {
	Repos    []Repo // in the file's order; without what it does not say
	ReposKey Secret // for hexpm and its organisations, or ""
}

// maxUserConfig bounds hex.config; a repository has some hundred bytes there.
const maxUserConfig = 1 << 20

// errUserConfig says nothing of what the file holds, which is secret.
var errUserConfig = errors.New("read hex.config: not the Erlang terms that Hex 2 writes: add the repository again with mix hex.repo or mix hex.organization")

// ParseUserConfig reads a hex.config of Hex 2. Keys of users, tokens and all
// other settings are passed over. No error repeats a part of the file.
func ParseUserConfig(data []byte) (UserConfig, error) {
	var c UserConfig
	if len(data) > maxUserConfig {
		return c, fmt.Errorf("read hex.config: longer than %d bytes", maxUserConfig)
	}
	terms, err := parseErlang(string(data))
	if err != nil {
		return c, errUserConfig
	}
	for _, t := range terms {
		if t.shape != tupleTerm || len(t.items) != 2 {
			return c, errUserConfig
		}
		switch {
		case t.items[0].is(atomTerm, "repos_key"):
			key, _ := t.items[1].str()
			c.ReposKey = Secret(key)
		case t.items[0].is(atomTerm, "$repos"):
			if t.items[1].shape != mapTerm || t.items[1].pairs(c.add) != nil {
				return UserConfig{}, errUserConfig
			}
		}
	}
	return c, nil
}

// add takes one repository.
func (c *UserConfig) add(name string, value term) error {
	r := Repo{Name: name}
	if !repoName.MatchString(name) || value.shape != mapTerm {
		return errUserConfig
	}
	err := value.pairs(func(key string, v term) error {
		text, ok := v.str()
		switch {
		case !ok: // nil, or of no use here
		case key == "url":
			r.URL = text
		case key == "public_key":
			r.PublicKey = []byte(text)
		case key == "auth_key":
			r.Key = Secret(text)
		}
		return nil
	})
	c.Repos = append(c.Repos, r)
	return err
}
