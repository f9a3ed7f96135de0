package upstream_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/env/upstream"
)

const (
	otpGit     = "/github/erlang/otp.git/info/refs"
	otpFolder  = "/github/erlang/otp/releases/download/OTP-"
	elixirGit  = "/github/elixir-lang/elixir.git/info/refs"
	elixirTag  = "/github/elixir-lang/elixir/archive/refs/tags/"
	elixirText = "/hex/builds/elixir/builds.txt"
)

func otpSite() *site {
	s := &site{files: map[string]string{
		otpGit: refs("OTP-25.2.3", "OTP-27.0-rc1", "OTP-27.3", "OTP-27.3^{}", "OTP-27.3.4.1", "OTP-27.3.4", "OTP-28.0-rc1", "OTP-17.0", "OTP_R16B03", "erl_1211"),
	}}
	for _, v := range []string{"25.2.3", "27.0-rc1", "27.3", "27.3.4", "27.3.4.1", "28.0-rc1"} {
		s.files[otpFolder+v+"/otp_src_"+v+".tar.gz"] = "otp " + v
		s.files[otpFolder+v+"/SHA256.txt"] = sum("doc") + "  otp_doc_html_" + v + ".tar.gz\n" + sum("otp "+v) + "  otp_src_" + v + ".tar.gz\n"
	}
	return s
}

func TestOTP(t *testing.T) {
	for _, tt := range []struct{ want, version string }{
		{"27.3.4.1", "27.3.4.1"},
		{"27", "27.3.4.1"},
		{"27.3", "27.3"},
		{"28.0-rc1", "28.0-rc1"},
		{"25.2", "25.2.3"},
	} {
		c := start(t, otpSite())
		r, err := fetched(t, c, "otp", tt.want)
		if err != nil {
			t.Fatal(err)
		}
		want := upstream.Release{
			Tool: "otp", Version: tt.version, Digest: digest.FromString("otp " + tt.version),
			URL:  "github:erlang/otp/releases/download/OTP-" + tt.version + "/otp_src_" + tt.version + ".tar.gz",
			Note: r.Note,
		}
		if diff := cmp.Diff(want, r, cmp.AllowUnexported(upstream.Release{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.want, diff)
		}
		unread := strings.HasPrefix(tt.version, "28")
		if !strings.Contains(r.Note, "not signed") || strings.Contains(r.Note, "sigstore") != unread {
			t.Errorf("%s: note %q", tt.want, r.Note)
		}
	}
}

// TestOTPWithoutList: a mirror may have the files of releases alone.
func TestOTPWithoutList(t *testing.T) {
	s := otpSite()
	delete(s.files, otpGit)
	c := start(t, s)
	if _, err := fetched(t, c, "otp", "27.3.4.1"); err != nil {
		t.Error(err)
	}
	if s.wasAsked("git-upload-pack") {
		t.Error("an exact version asked for the list of all")
	}
	_, err := c.Find(context.Background(), "otp", "27")
	problem(t, err, "look for otp 27 upstream: list the tags of erlang/otp: ", "erlang/otp.git/info/refs?service=git-upload-pack: status 404",
		"ubuntu-24.04/builds.txt: status 404", "name a mirror under [upstream] in the configuration file", "url and sha256")
	s.files["/hex/builds/otp/amd64/ubuntu-24.04/builds.txt"] = "OTP-27.3.4 " + commit("x") + " 2026-01-01T00:00:00Z\nmaint-27 " + commit("y") + " 2026-01-01T00:00:00Z\n"
	r, err := c.Find(context.Background(), "otp", "27")
	if err != nil || r.Version != "27.3.4" {
		t.Errorf("from the list of builds: got %v, %v", r.Version, err)
	}
}

func TestUnknownVersion(t *testing.T) {
	s := otpSite()
	c := start(t, s)
	for range 2 {
		_, err := c.Find(context.Background(), "otp", "27.9")
		var none *upstream.VersionError
		if !errors.As(err, &none) || none.Want != "27.9" || none.Tool != "otp" || len(none.Available) != 7 {
			t.Fatalf("got %#v, %v", none, err)
		}
		want := "otp has no release 27.9; nearest are 27.3.4.1, 27.3.4, 27.3, 25.2.3, 17.0; newest of each series: 27.3.4.1, 25.2.3, 17.0"
		if err.Error() != want {
			t.Errorf("got  %s\nwant %s", err, want)
		}
	}
	lists := 0
	for _, path := range s.asked {
		if strings.HasPrefix(path, otpGit) {
			lists++
		}
	}
	if lists != 1 {
		t.Errorf("the list was fetched %d times", lists)
	}
	_, err := c.Find(context.Background(), "otp", "28")
	problem(t, err, "otp has no release 28; nearest are 27.3.4.1") // there is a candidate only
	_, err = c.Find(context.Background(), "gleam", "1")
	problem(t, err, "look for gleam: no tool with source releases: want one of [elixir hex openssl otp rebar3]")
}

// TestTagBeforeTarball: the newest tag has no tarball yet.
func TestTagBeforeTarball(t *testing.T) {
	s := otpSite()
	s.files[otpGit] = refs("OTP-27.3.4.1", "OTP-27.3.4.2")
	c := start(t, s)
	r, err := c.Find(context.Background(), "otp", "27")
	if err != nil || r.Version != "27.3.4.1" {
		t.Errorf("got %s, %v", r.Version, err)
	}
	_, err = c.Find(context.Background(), "otp", "27.3.4.2")
	problem(t, err, "otp 27.3.4.2 has no tarball: ", "otp_src_27.3.4.2.tar.gz: status 404", "take another version")
	s.files[otpGit] = refs("OTP-27.3.4.1", "OTP-27.5", "OTP-27.6", "OTP-27.7")
	_, err = start(t, s).Find(context.Background(), "otp", "27")
	problem(t, err, "otp 27.5 has no tarball", "name another version exactly")
}

func TestOTPWithoutSHA256(t *testing.T) {
	s := otpSite()
	delete(s.files, otpFolder+"25.2.3/SHA256.txt")
	c := start(t, s)
	r, err := fetched(t, c, "otp", "25.2.3")
	if err != nil || r.Digest != "" || !strings.Contains(r.Note, "publishes no sha256") {
		t.Errorf("got %+v, %v", r, err)
	}
	s.files[otpFolder+"25.2.3/SHA256.txt"] = sum("x") + "  otp_doc_html_25.2.3.tar.gz\n"
	if r, err = fetched(t, c, "otp", "25.2.3"); err != nil || r.Digest != "" {
		t.Errorf("got %+v, %v", r, err)
	}
	s.files[otpFolder+"25.2.3/SHA256.txt"] = "<html>\n"
	_, err = c.Find(context.Background(), "otp", "25.2.3")
	problem(t, err, "SHA256.txt: ", `"<html>" is no line of a list of sha256 sums`)
	s.fail = map[string]int{otpFolder + "25.2.3/SHA256.txt": http.StatusForbidden}
	_, err = c.Find(context.Background(), "otp", "25.2.3")
	problem(t, err, "SHA256.txt: status 403", "name a mirror")
}

func TestWrongTarball(t *testing.T) {
	s := otpSite()
	s.files[otpFolder+"27.3/otp_src_27.3.tar.gz"] = "other"
	_, err := fetched(t, start(t, s), "otp", "27.3")
	var wrong *upstream.MismatchError
	if !errors.As(err, &wrong) || wrong.Got != sum("other") || wrong.Want != sum("otp 27.3") {
		t.Errorf("got %v", err)
	}
	problem(t, err, "source of otp 27.3: want sha256 "+sum("otp 27.3"), "got "+sum("other"), "fetch it again")
}

func elixirSite(t *testing.T) *site {
	return &site{files: map[string]string{
		elixirGit: refs("v1.18.3", "v1.18.3^{}", "v1.18-latest", "main-latest", "v1.19.0-rc.0", "v1.18.2"),
		elixirText: "main " + commit("m") + " 2026-01-01T00:00:00Z " + sum("m") + " \n" +
			"v1.18.3 " + commit("v1.18.3^{}") + " 2026-01-01T00:00:00Z " + sum("z") + "\n" +
			"v1.18.3-otp-27 " + commit("v1.18.3^{}") + " 2026-01-01T00:00:00Z " + sum("z") + "\n",
		elixirTag + "v1.18.3.tar.gz":      archive(t, "elixir-1.18.3", commit("v1.18.3^{}")),
		elixirTag + "v1.18.2.tar.gz":      archive(t, "elixir-1.18.2", commit("v1.18.2")),
		elixirTag + "v1.19.0-rc.0.tar.gz": archive(t, "elixir-1.19.0-rc.0", commit("moved")),
	}}
}

func TestElixir(t *testing.T) {
	c := start(t, elixirSite(t))
	r, err := fetched(t, c, "elixir", "1.18")
	if err != nil {
		t.Fatal(err)
	}
	want := upstream.Release{
		Tool: "elixir", Version: "1.18.3", URL: "github:elixir-lang/elixir/archive/refs/tags/v1.18.3.tar.gz", Commit: commit("v1.18.3^{}"), Note: r.Note,
	}
	if diff := cmp.Diff(want, r, cmp.AllowUnexported(upstream.Release{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if !strings.Contains(r.Note, "as the tag at GitHub and the build at builds.hex.pm;") {
		t.Errorf("note %q", r.Note)
	}
	if r, err = fetched(t, c, "elixir", "1.18.2"); err != nil || !strings.Contains(r.Note, "as the tag at GitHub;") {
		t.Errorf("note %q, %v", r.Note, err)
	}
	_, err = fetched(t, c, "elixir", "1.19.0-rc.0")
	problem(t, err, "source of elixir 1.19.0-rc.0: want commit "+commit("v1.19.0-rc.0")+" as the tag has it, got "+commit("moved"))
	_, err = c.Find(context.Background(), "elixir", "1.20.0")
	problem(t, err, "elixir has no release 1.20.0; nearest are 1.18.3, 1.18.2")
}

func TestElixirTagMoved(t *testing.T) {
	s := elixirSite(t)
	s.files[elixirGit] = refs("v1.18.3")
	_, err := start(t, s).Find(context.Background(), "elixir", "1.18.3")
	problem(t, err, "want commit "+commit("v1.18.3^{}")+" as builds.hex.pm has it, got "+commit("v1.18.3")+" as the tag v1.18.3 at GitHub")
}

func TestElixirWithoutGit(t *testing.T) {
	s := elixirSite(t)
	for _, answer := range []string{"", "<!DOCTYPE html>\n", "0000", strings.TrimSuffix(refs("v1.18.3"), "0000")} {
		if s.files[elixirGit] = answer; answer == "" {
			delete(s.files, elixirGit)
		}
		r, err := fetched(t, start(t, s), "elixir", "1.18")
		if err != nil || r.Version != "1.18.3" || !strings.Contains(r.Note, "GitHub's list of tags was out of reach") {
			t.Errorf("%.20q: got %+v, %v", answer, r, err)
		}
	}
	delete(s.files, elixirText)
	_, err := start(t, s).Find(context.Background(), "elixir", "1.18.3")
	problem(t, err, "list the tags of elixir-lang/elixir: http://", "info/refs?service=git-upload-pack: the list is cut short", "list the builds of elixir: ", "builds.txt: status 404")
}

func TestHexAndRebar3(t *testing.T) {
	c := start(t, &site{files: map[string]string{
		"/github/hexpm/hex.git/info/refs":                             commit("v2.0.6") + "\trefs/tags/v2.0.6\n" + commit("tag") + "\trefs/tags/v2.1.0\n" + commit("v2.1.0") + "\trefs/tags/v2.1.0^{}\n",
		"/github/erlang/rebar3.git/info/refs":                         refs("3.24.0", "3.0.0-beta.4", "beta-4", "3.24.0-dirty_x"),
		"/github/hexpm/hex/archive/refs/tags/v2.1.0.tar.gz":           archive(t, "hex-2.1.0", commit("v2.1.0")),
		"/github/erlang/rebar3/archive/refs/tags/3.24.0.tar.gz":       archive(t, "rebar3-3.24.0", ""),
		"/github/erlang/rebar3/archive/refs/tags/3.0.0-beta.4.tar.gz": "nonsense",
	}})
	if r, err := fetched(t, c, "hex", "2"); err != nil || r.Version != "2.1.0" || r.Commit != commit("v2.1.0") {
		t.Errorf("got %+v, %v", r, err)
	}
	_, err := fetched(t, c, "rebar3", "3")
	problem(t, err, "source of rebar3 3.24.0: want commit "+commit("3.24.0")+" as the tag has it, got none")
	_, err = fetched(t, c, "rebar3", "3.0.0-beta.4")
	problem(t, err, "source of rebar3 3.0.0-beta.4: not a gzip file")
}
