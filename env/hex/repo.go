package hex

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// DefaultRepo is the name of the public repository.
const DefaultRepo = "hexpm"

const defaultURL = "https://repo.hex.pm"

// hexpmKey is the public key of hexpm, which signs its registry and those of
// its organisations.
const hexpmKey = `-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEApqREcFDt5vV21JVe2QNB
Edvzk6w36aNFhVGWN5toNJRjRJ6m4hIuG4KaXtDWVLjnvct6MYMfqhC79HAGwyF+
IqR6Q6a5bbFSsImgBJwz1oadoVKD6ZNetAuCIK84cjMrEFRkELtEIPNHblCzUkkM
3rS9+DPlnfG8hBvGi6tvQIuZmXGCxF/73hU0/MyGhbmEjIKRtG6b0sJYKelRLTPW
XgK7s5pESgiwf2YC/2MGDXjAJfpfCd0RpLdvd4eRiXtVlE9qO9bND94E7PgQ/xqZ
J1i2xWFndWa6nfFnRxZmCStCOZWYYPlaxr+FZceFbpMwzTNs4g3d4tLNUcbKAIH4
0wIDAQAB
-----END PUBLIC KEY-----
`

// Secret is a repository's key. It prints as a placeholder in every verb and
// encoding, so that it cannot end up in an error or a log by accident.
type Secret string

const redacted = "[secret]"

func (Secret) String() string               { return redacted }
func (Secret) GoString() string             { return redacted }
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
func (Secret) Format(f fmt.State, _ rune)   { _, _ = f.Write([]byte(redacted)) }

// Repo is one Hex repository as the user configured it.
type Repo struct {
	// Name is as in mix.lock: "hexpm", "hexpm:ORGANISATION" or a name of the
	// user's. An entry for "hexpm" need not exist.
	Name string
	// URL of its root; "" is the default of hexpm, or the organisation's place
	// below hexpm.
	URL string
	// Mirrors are tried before URL, in their order. What they serve is
	// verified by checksum and signature like all else.
	Mirrors []string
	// TrustMirrors sends Key to the mirrors too. Without it they are not asked
	// for what needs a key.
	TrustMirrors bool
	// PublicKey in PEM verifies the registry; empty is that of hexpm, which
	// only hexpm and its organisations may leave out.
	PublicKey []byte
	// Key goes into the header Authorization; "" sends none.
	Key Secret
}

// Candidates returns where the tarball of a locked package may be had, in the
// order to try, and the header to send to each of them.
func Candidates(l Locked, repos []Repo) ([]string, http.Header, error) {
	if l.Kind != Package {
		return nil, nil, fmt.Errorf("locate %s: not a Hex package", l.App)
	}
	urls, header, err := locate(l.Repo, repos, "/tarballs/"+url.PathEscape(l.Name+"-"+l.Version+".tar"))
	if err != nil {
		return nil, nil, fmt.Errorf("locate %s-%s: %w", l.Name, l.Version, err)
	}
	return urls, header, nil
}

// locate returns the addresses of a path below a repository's root.
func locate(name string, repos []Repo, path string) ([]string, http.Header, error) {
	repo, err := find(name, repos)
	if err != nil {
		return nil, nil, err
	}
	roots := []string{repo.URL}
	if repo.Key == "" || repo.TrustMirrors {
		roots = append(append([]string{}, repo.Mirrors...), repo.URL)
	}
	var urls []string
	for _, root := range roots {
		if err := checkRoot(root, repo.Key != ""); err != nil {
			return nil, nil, fmt.Errorf("repository %s: %w", name, err)
		}
		urls = append(urls, strings.TrimRight(root, "/")+path)
	}
	header := http.Header{}
	if repo.Key != "" {
		if strings.ContainsAny(string(repo.Key), "\r\n\x00") {
			return nil, nil, fmt.Errorf("repository %s: its key holds a line break", name)
		}
		header.Set("Authorization", string(repo.Key))
	}
	return urls, header, nil
}

// find returns the repository of a name with all its defaults filled in.
func find(name string, repos []Repo) (Repo, error) {
	if !repoName.MatchString(name) {
		return Repo{}, fmt.Errorf("repository %q: no such name is allowed", name)
	}
	var found *Repo
	for i := range repos {
		if repos[i].Name == name {
			found = &repos[i]
		}
	}
	if name == DefaultRepo {
		out := Repo{Name: name}
		if found != nil {
			out = *found
		}
		if out.URL == "" {
			out.URL = defaultURL
		}
		return out, nil
	}
	source, organisation, isOrganisation := strings.Cut(name, ":")
	if !isOrganisation {
		if found == nil {
			return Repo{}, fmt.Errorf("repository %q is not configured", name)
		}
		if found.URL == "" {
			return Repo{}, fmt.Errorf("repository %q has no URL", name)
		}
		return *found, nil
	}
	parent, err := find(source, repos)
	if err != nil {
		return Repo{}, err
	}
	out := Repo{Name: name}
	if found != nil {
		out = *found
	}
	inherit(&out, parent, "/repos/"+organisation)
	return out, nil
}

// inherit fills what an organisation takes from the repository it is in.
func inherit(out *Repo, parent Repo, below string) {
	if out.URL == "" {
		out.URL = strings.TrimRight(parent.URL, "/") + below
		if out.Key == "" {
			out.Key = parent.Key
		}
	}
	if out.Mirrors == nil && parent.TrustMirrors {
		for _, m := range parent.Mirrors {
			out.Mirrors = append(out.Mirrors, strings.TrimRight(m, "/")+below)
		}
		out.TrustMirrors = true
	}
	if len(out.PublicKey) == 0 {
		out.PublicKey = parent.PublicKey
	}
}

// checkRoot refuses addresses that would give a key away.
func checkRoot(root string, secret bool) error {
	u, err := url.Parse(root)
	if err != nil {
		// url.Error quotes the address, which may hold a password.
		return errors.New("its URL is malformed")
	}
	switch {
	case u.User != nil:
		return errors.New("its URL holds credentials: give them as its key")
	case u.Scheme != "https" && u.Scheme != "http" || u.Host == "":
		return fmt.Errorf("its URL is neither https nor http")
	case u.RawQuery != "" || u.Fragment != "":
		return errors.New("its URL has a query or a fragment")
	case secret && u.Scheme == "http" && !loopback(u.Hostname()):
		return errors.New("its key would be sent in clear text: use https")
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// publicKey returns the key that signs a repository's registry.
func (r Repo) publicKey() (*rsa.PublicKey, error) {
	text := r.PublicKey
	source, _, _ := strings.Cut(r.Name, ":")
	if len(text) == 0 {
		if source != DefaultRepo {
			return nil, fmt.Errorf("repository %s has no public key: its registry cannot be verified", r.Name)
		}
		text = []byte(hexpmKey)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("repository %s: its public key is no PEM", r.Name)
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("repository %s: its public key: %w", r.Name, err)
	}
	public, ok := key.(*rsa.PublicKey)
	if !ok || public.N.BitLen() < 2048 {
		return nil, fmt.Errorf("repository %s: its public key is no RSA key of 2048 bits or more", r.Name)
	}
	return public, nil
}
