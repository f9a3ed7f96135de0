package hex

import (
	"strings"
	"testing"
)

// userConfig is a file as Hex 2 writes it, with its line breaks in binaries.
const userConfig = `{'$write_key',<<"w-secret">>}.
{repos_key,<<"all-secret">>}.
{'$oauth_token',#{access_token => <<"t-secret">>,expires_at => 1790000000}}.
{'$repos',
    #{<<"hexpm:acme">> =>
          #{auth_key => <<"acme-secret">>,auth_key_owner => organization},
      <<"own">> =>
          #{auth_key => nil,
            public_key =>
                <<"-----BEGIN PUBLIC KEY-----\n"
                  "MIIB\n-----END PUBLIC KEY-----\n">>,
            trusted => true,
            url => <<"https://hex.own.example">>}}}.
`

func TestParseUserConfig(t *testing.T) {
	c, err := ParseUserConfig([]byte(userConfig))
	if err != nil {
		t.Fatal(err)
	}
	if c.ReposKey != "all-secret" || len(c.Repos) != 2 {
		t.Fatalf("%d repositories, key of %d bytes", len(c.Repos), len(c.ReposKey))
	}
	acme, own := c.Repos[0], c.Repos[1]
	if acme.Name != "hexpm:acme" || acme.Key != "acme-secret" || acme.URL != "" {
		t.Errorf("got %+v", acme)
	}
	if own.Name != "own" || own.Key != "" || own.URL != "https://hex.own.example" || string(own.PublicKey) != "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n" {
		t.Errorf("got %+v", own)
	}
	for _, bad := range []string{
		"{repos_key,<<\"s3cr3t}.", "s3cr3t.", "{'$repos',s3cr3t}.", "{'$repos',#{<<\"a/s3cr3t\">> => #{}}}.",
		"[repos: \"s3cr3t\"]", "{a,1s3cr3t}.", strings.Repeat(" ", maxUserConfig+1),
	} {
		if _, err := ParseUserConfig([]byte(bad)); err == nil || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%.40q: %v", bad, err)
		}
	}
}

func FuzzParseUserConfig(f *testing.F) {
	f.Add([]byte(userConfig))
	f.Add([]byte("{'$repos',#{a => #{url => \"x\"}}}."))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseUserConfig(data)
		if err != nil && err.Error() != errUserConfig.Error() && len(data) <= maxUserConfig {
			t.Errorf("an error of its own: %v", err)
		}
		for _, r := range c.Repos {
			if !repoName.MatchString(r.Name) {
				t.Errorf("repository %q", r.Name)
			}
		}
	})
}
