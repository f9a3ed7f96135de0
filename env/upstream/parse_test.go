package upstream

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"
)

const (
	a = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	b = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// packets frames lines as the protocol does; "" is a flush.
func packets(lines ...string) string {
	var out strings.Builder
	for _, line := range lines {
		if line == "" {
			out.WriteString("0000")
		} else {
			fmt.Fprintf(&out, "%04x%s", len(line)+4, line)
		}
	}
	return out.String()
}

const service = "# service=git-upload-pack\n"

func TestParseRefs(t *testing.T) {
	for _, tt := range []struct {
		name, answer string
		want         map[string]string
		problem      string
	}{
		{"smart", packets(service, "", a+" HEAD\x00caps\n", a+" refs/tags/v1\n", b+" refs/tags/v1^{}\n", b+" refs/tags/v2", ""), map[string]string{"v1": b, "v2": b}, ""},
		{"version 1", packets(service, "", "version 1\n", a+" refs/tags/v1\x00caps\n", "shallow "+b, ""), map[string]string{"v1": a}, ""},
		{"no refs", packets(service, "", strings.Repeat("0", 40)+" capabilities^{}\x00caps", ""), map[string]string{}, ""},
		{"sha256", packets(service, "", a+a[:24]+" refs/tags/v1\x00caps", ""), map[string]string{"v1": a + a[:24]}, ""},
		{"plain", a + "\trefs/heads/main\n" + a + "\trefs/tags/v1\n" + b + "\trefs/tags/v1^{}\n", map[string]string{"v1": b}, ""},
		{"empty", "", map[string]string{}, ""},
		{"no flush", packets(service, "", a+" refs/tags/v1\n"), nil, "the list is cut short"},
		{"cut in a line", packets(service, "", a+" refs/tags/v1\n", "")[:70], nil, "the list is cut short"},
		{"cut in a length", packets(service) + "00", nil, "the list is cut short"},
		{"heading alone", packets(service), nil, "the list is cut short"},
		{"no flush after the heading", packets(service, a+" refs/tags/v1"), nil, "heading does not end"},
		{"another service", packets("# service=git-receive-pack\n", ""), nil, "cut short, or none of a git server"},
		{"more after the heading", packets(service+"x", ""), nil, "the answer begins with"},
		{"long length", packets(service, "") + "ffff", nil, "the list is cut short"},
		{"short length", packets(service, "") + "0003", nil, "a line has the length 3"},
		{"no length", packets(service, "") + "-001", nil, `"-001" is not the length of a line`},
		{"underscore", packets(service, "") + "00_4", nil, "is not the length of a line"},
		{"bytes after the end", packets(service, "", "") + "x", nil, "1 bytes follow the list"},
		{"error", packets(service, "", "ERR no such\x1b repository"), nil, `the server says "no such\x1b repository"`},
		{"no commit", packets(service, "", "main refs/tags/v1", ""), nil, "is no line of a git server's list"},
		{"capital commit", packets(service, "", strings.ToUpper(a)+" refs/tags/v1", ""), nil, "is no line"},
		{"twice", packets(service, "", a+" refs/tags/v1", b+" refs/tags/v1", ""), nil, `has the tag "v1" twice`},
		{"peeled alone", packets(service, "", a+" refs/tags/v1^{}", ""), nil, `has "v1^{}" without the tag itself`},
		{"web page", "<!DOCTYPE html>\n<html>\n", nil, "is no line of a git server's list"},
		{"plain without end", a + "\trefs/tags/v1", nil, "the list is cut short"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseRefs([]byte(tt.answer))
			if tt.problem != "" {
				if err == nil || !strings.Contains(err.Error(), tt.problem) {
					t.Errorf("got %v, %v, want %q", got, err, tt.problem)
				}
			} else if err != nil || !maps.Equal(got, tt.want) {
				t.Errorf("got %v, %v, want %v", got, err, tt.want)
			}
		})
	}
	var many strings.Builder
	for i := range maxTags + 1 {
		fmt.Fprintf(&many, "%s\trefs/tags/v%d\n", a, i)
	}
	if _, err := parseRefs([]byte(many.String())); err == nil {
		t.Error("takes any number of tags")
	}
}

func TestVersionOfTag(t *testing.T) {
	for _, tt := range []struct{ tool, tag, version string }{
		{"otp", "OTP-27.3.4.1", "27.3.4.1"}, {"otp", "OTP-27.0-rc1", "27.0-rc1"}, {"otp", "OTP_R16B03-1", ""}, {"otp", "OTP-27", ""}, {"otp", "27.0", ""},
		{"elixir", "v1.18.3", "1.18.3"}, {"elixir", "v1.19.0-rc.0", "1.19.0-rc.0"}, {"elixir", "v1.18-latest", ""}, {"elixir", "main-latest", ""},
		{"hex", "v2.0.6", "2.0.6"}, {"hex", "2.0.6", ""},
		{"rebar3", "3.24.0", "3.24.0"}, {"rebar3", "3.0.0-beta.4", "3.0.0-beta.4"}, {"rebar3", "beta-4", ""}, {"rebar3", "3.24.0/../x", ""},
		{"openssl", "openssl-3.5.7", "3.5.7"}, {"openssl", "openssl-3.6.0-beta1", "3.6.0-beta1"}, {"openssl", "OpenSSL_1_1_1w", "1.1.1w"},
		{"openssl", "OpenSSL_0_9_8zh", "0.9.8zh"}, {"openssl", "OpenSSL_1_1_1-pre9", ""}, {"openssl", "openssl-1.1.1w", ""}, {"openssl", "openssl-1.1.1", ""}, {"openssl", "OpenSSL_3_5_7", ""},
		{"openssl", "OpenSSL-fips-2_0_16", ""}, {"openssl", "openssl-3.5.7-fips", ""},
	} {
		if got, ok := tools[tt.tool].version(tt.tag); ok != (tt.version != "") || ok && got != tt.version {
			t.Errorf("%s %s: got %q, %t", tt.tool, tt.tag, got, ok)
		}
	}
}

func TestChecksumOf(t *testing.T) {
	x, y := strings.Repeat("ab", 32), strings.Repeat("cd", 32)
	for _, tt := range []struct{ list, want, problem string }{
		{x + "  f.tar.gz\n" + y + " *g.tar.gz\n", x, ""},
		{y + "  g.tar.gz\r\n" + strings.ToUpper(x) + " f.tar.gz\r\n", x, ""},
		{x + "  ./dist/f.tar.gz\n", x, ""},
		{x + "\n", x, ""},
		{x, x, ""},
		{x + "  f.tar.gz\n" + x + "  f.tar.gz\n", x, ""},
		{y + "  g.tar.gz\n", "", ""},
		{x + "  f.tar.gz\n" + y + "  f.tar.gz\n", "", "two sums of f.tar.gz"},
		{x + "\n" + y + "\n", "", "names no file"},
		{x[1:] + "  f.tar.gz\n", "", "is no line"},
		{"", "", "is no line"},
		{"Not Found", "", "is no line"},
	} {
		got, err := checksumOf([]byte(tt.list), "f.tar.gz")
		if (err != nil) != (tt.problem != "") || err != nil && !strings.Contains(err.Error(), tt.problem) {
			t.Errorf("%q: %v", tt.list, err)
		}
		if tt.want != "" && got.Encoded() != tt.want || tt.want == "" && got != "" {
			t.Errorf("%q: got %s", tt.list, got)
		}
	}
}

func FuzzParseRefs(f *testing.F) {
	f.Add([]byte(packets(service, "", a+" HEAD\x00caps\n", a+" refs/tags/v1\n", b+" refs/tags/v1^{}\n", "")))
	f.Add([]byte(a + "\trefs/tags/v1\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		tags, err := parseRefs(data)
		if err != nil && tags != nil {
			t.Error("an error, and tags")
		}
		for tag, commit := range tags {
			if !isCommit(commit) || strings.HasSuffix(tag, "^{}") && !strings.Contains(string(data), "^{}^{}") {
				t.Errorf("%q is %q", tag, commit)
			}
			for _, tool := range tools {
				if v, ok := tool.version(tag); ok {
					if _, err := (&Client{}).Locate(tool.archive(v)); err != nil {
						t.Errorf("%s: %v", tag, err)
					}
				}
			}
		}
	})
}

func FuzzListings(f *testing.F) {
	f.Add([]byte(strings.Repeat("ab", 32)+"  f.tar.gz\n"), "f.tar.gz")
	f.Add([]byte("v1.18.3 "+a+" 2026-01-01T00:00:00Z "+strings.Repeat("ab", 32)+"\n"), "v1.18.3")
	f.Fuzz(func(t *testing.T, data []byte, name string) {
		if sum, err := checksumOf(data, name); err == nil && sum != "" && sum.Validate() != nil {
			t.Errorf("%q", sum)
		}
		builds, err := parseBuilds(data)
		for tag, commit := range builds {
			if err != nil || !isCommit(commit) || tag == "" {
				t.Errorf("%q is %q, %v", tag, commit, err)
			}
		}
	})
}

func FuzzSignature(f *testing.F) {
	keys, err := (&Client{}).opensslKeys()
	if err != nil {
		f.Fatal(err)
	}
	for _, version := range []string{"1.1.1w", "3.0.20", "3.0.22"} {
		armored, err := os.ReadFile("testdata/openssl-" + version + ".tar.gz.asc")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(armored, []byte("x"))
	}
	f.Fuzz(func(t *testing.T, armored, content []byte) {
		if s, err := readSignature(armored, keys); err == nil && s.check(strings.NewReader(string(content))) == nil {
			t.Errorf("%q verifies", content)
		}
	})
}

func FuzzCheckArchive(f *testing.F) {
	var seed bytes.Buffer
	zip, err := gzip.NewWriterLevel(&seed, gzip.NoCompression) // readable for the mutator
	if err != nil {
		f.Fatal(err)
	}
	w := tar.NewWriter(zip)
	header := &tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "pax_global_header", PAXRecords: map[string]string{"comment": a}}
	if err := errors.Join(w.WriteHeader(header), w.Close(), zip.Close()); err != nil {
		f.Fatal(err)
	}
	f.Add(seed.String(), a)
	f.Fuzz(func(t *testing.T, archive, commit string) {
		if err := CheckArchive(strings.NewReader(archive), commit); err == nil && commit == "" {
			t.Error("an archive without a commit passes")
		}
	})
}
