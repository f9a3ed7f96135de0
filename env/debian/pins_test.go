package debian_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/env/debian"
)

// aged is a mirror that has moved on since the lock was made: new OpenSSL and
// new Erlang. The old files are still in the pool, whether listed or not.
func aged(t *testing.T, listed bool) (*mini, env.Lock) {
	m := standard(t)
	old := resolve(t, m.local(), request()).Lock
	later := day.Add(24 * time.Hour)
	if listed {
		m.publish("debian", "trixie", later, base(), erlang("1:27.3.4.2+dfsg-1"))
	} else {
		keep := base()[:0:0]
		for _, p := range base() {
			if !strings.Contains(p.Control, "Source: erlang\n") {
				keep = append(keep, p)
			}
		}
		m.publish("debian", "trixie", later, keep, erlang("1:27.3.4.2+dfsg-1"))
	}
	m.publish("debian-security", "trixie-security", later, openssl("3.5.8-1~deb13u1"))
	return m, old
}

func again(old env.Lock) debian.Request {
	req := request()
	req.Now = day.Add(25 * time.Hour)
	req.Previous = &old
	return req
}

func gone(m *mini, l env.Lock, names ...string) {
	for _, p := range l.Packages {
		for _, name := range names {
			if p.Name == name {
				// An "all" package is there once for both platforms.
				if err := os.Remove(filepath.Join(m.dir, p.Archive, p.Path)); err != nil && !errors.Is(err, os.ErrNotExist) {
					m.t.Fatal(err)
				}
			}
		}
	}
}

const (
	erlangMoves  = "erlang-base 1:27.3.4.1+dfsg-1>1:27.3.4.2+dfsg-1"
	cryptoMoves  = "erlang-crypto 1:27.3.4.1+dfsg-1>1:27.3.4.2+dfsg-1"
	opensslMoves = "libssl3t64 3.5.7-1~deb13u1>3.5.8-1~deb13u1"
)

func TestPinsStay(t *testing.T) {
	for _, tt := range []struct {
		name   string
		listed bool
		do     func(m *mini, old env.Lock, req *debian.Request)
		want   []string
	}{
		{name: "listed", listed: true},
		{name: "served, not listed"},
		{name: "update a tool", listed: true, do: func(_ *mini, _ env.Lock, req *debian.Request) { req.Update = []string{"otp"} }, want: []string{erlangMoves, cryptoMoves}},
		{name: "update a tool, not listed", do: func(_ *mini, _ env.Lock, req *debian.Request) { req.Update = []string{"otp"} }, want: []string{erlangMoves, cryptoMoves}},
		{name: "update a package", do: func(_ *mini, _ env.Lock, req *debian.Request) { req.Update = []string{"libssl3t64"} }, want: []string{opensslMoves}},
		{name: "update a source", do: func(_ *mini, _ env.Lock, req *debian.Request) { req.Update = []string{"openssl"} }, want: []string{opensslMoves}},
		{name: "update what is newest", do: func(_ *mini, _ env.Lock, req *debian.Request) { req.Update = []string{"mawk"} }},
		{name: "update all", do: func(_ *mini, _ env.Lock, req *debian.Request) { req.UpdateAll = true }, want: []string{erlangMoves, cryptoMoves, opensslMoves}},
		{name: "one is not served", do: func(m *mini, old env.Lock, _ *debian.Request) { gone(m, old, "libssl3t64") }, want: []string{opensslMoves}},
		{name: "not served, but at hand", do: func(m *mini, old env.Lock, req *debian.Request) {
			gone(m, old, "libssl3t64")
			req.Have = func(d digest.Digest) bool { return true }
		}},
		{name: "one that forces its sibling", do: func(m *mini, old env.Lock, _ *debian.Request) { gone(m, old, "erlang-base") }, want: []string{erlangMoves, cryptoMoves}},
		{name: "another version of a tool is demanded", do: func(_ *mini, _ env.Lock, req *debian.Request) {
			req.Tools = map[string]string{"otp": "27.3.4.2"}
		}, want: []string{erlangMoves, cryptoMoves}},
		{name: "the old version of a tool is demanded", do: func(_ *mini, _ env.Lock, req *debian.Request) {
			req.Tools = map[string]string{"otp": "27.3.4.1"}
		}},
		{name: "another root", listed: true, do: func(_ *mini, _ env.Lock, req *debian.Request) {
			for p := range req.Sets {
				req.Sets[p] = map[string][]string{"image": {"openssl", "awk"}}
			}
		}, want: []string{"elixir 1.18.3.dfsg-1>", "erlang-base 1:27.3.4.1+dfsg-1>", "erlang-crypto 1:27.3.4.1+dfsg-1>", "openssl >3.5.8-1~deb13u1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, old := aged(t, tt.listed)
			req := again(old)
			if tt.do != nil {
				tt.do(m, old, &req)
			}
			res := resolve(t, m.local(), req)
			if diff := cmp.Diff(tt.want, movedNames(res.Moved)); diff != "" {
				t.Error(diff)
			}
			if got := res.Lock.Suites[0].Date; got != "2026-11-21T08:15:00Z" {
				t.Errorf("suite of %s", got)
			}
		})
	}
}

func TestRepair(t *testing.T) {
	for _, tt := range []struct {
		name string
		lost []string
		want []string
	}{
		{name: "nothing lost"},
		{name: "one", lost: []string{"libssl3t64"}, want: []string{opensslMoves}},
		{name: "with its sibling", lost: []string{"erlang-crypto"}, want: []string{erlangMoves, cryptoMoves}},
	} {
		for _, sets := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, sets given: %v", tt.name, sets), func(t *testing.T) {
				m, old := aged(t, false)
				old.Plugins = []env.HexPin{{Name: "pc", Version: "1.0.0", Repo: "hexpm", Inner: digest.FromString("i"), Outer: digest.FromString("o")}}
				gone(m, old, tt.lost...)
				req := again(old)
				if !sets {
					req = debian.Request{Previous: &old, Now: req.Now}
				}
				a := m.local()
				res, err := a.Repair(t.Context(), req)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tt.want, movedNames(res.Moved)); diff != "" {
					t.Error(diff)
				}
				if err := res.Lock.Validate(); err != nil {
					t.Error(err)
				}
				if diff := cmp.Diff(old.Sets, res.Lock.Sets); diff != "" {
					t.Error(diff)
				}
				if diff := cmp.Diff(old.Plugins, res.Lock.Plugins); diff != "" {
					t.Error(diff)
				}
				if tt.lost == nil {
					if diff := cmp.Diff(old, res.Lock); diff != "" {
						t.Error(diff)
					}
				}
				if err := a.Check(t.Context(), &res.Lock, old.Manifest, nil); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func TestRepairFails(t *testing.T) {
	m, old := aged(t, false)
	if _, err := m.local().Repair(t.Context(), debian.Request{}); err == nil {
		t.Error("a lock that is not there was repaired")
	}
	// Nobody can be asked: that a file is lost is not known.
	if _, err := m.at("http://127.0.0.1:1").Repair(t.Context(), again(old)); err == nil {
		t.Error("repaired without a mirror")
	}
	// What is listed but not there cannot be chosen again.
	gone(m, old, "mawk", "gawk")
	_, err := m.local().Repair(t.Context(), again(old))
	if err != nil {
		t.Fatal(err)
	}
	gone(m, old, "libc6")
	_, err = m.local().Repair(t.Context(), again(old))
	var unsat *debian.UnsatisfiableError
	if !errors.As(err, &unsat) || !strings.Contains(err.Error(), "there is only 2.41-12 (trixie), but no source serves it") {
		t.Errorf("%v", err)
	}
}

func TestCheck(t *testing.T) {
	m := standard(t)
	lock := resolve(t, m.local(), request()).Lock
	a := m.local()
	if err := a.Check(t.Context(), &lock, lock.Manifest, nil); err != nil {
		t.Error(err)
	}
	var stale *env.StaleLockError
	if err := a.Check(t.Context(), &lock, digest.FromString("other"), nil); !errors.As(err, &stale) {
		t.Errorf("%v", err)
	}
	gone(m, lock, "elixir")
	var lost *debian.LostError
	if err := a.Check(t.Context(), &lock, lock.Manifest, nil); !errors.As(err, &lost) || lost.Packages[0].Name != "elixir" {
		t.Errorf("%v", err)
	}
	if err := a.Check(t.Context(), &lock, lock.Manifest, func(digest.Digest) bool { return true }); err != nil {
		t.Errorf("all is at hand: %v", err)
	}
	offline := &debian.Archive{Mirrors: debian.Mirrors{Snapshot: "none"}}
	if err := offline.Check(t.Context(), &lock, lock.Manifest, nil); err != nil {
		t.Error(err)
	}
	lock.Packages = lock.Packages[1:]
	if err := offline.Check(t.Context(), &lock, lock.Manifest, nil); err == nil {
		t.Error("a lock without one of its packages passes")
	}
}

func TestBareSets(t *testing.T) {
	m, _ := aged(t, true)
	sets := map[string][]string{"toolchain": {"openssl"}, "image": {"libssl3t64", "erlang-crypto", "awk"}}
	req := again(env.Lock{})
	req.Previous, req.Essential, req.Bare = nil, false, []string{"image"}
	req.Sets = map[env.Platform]map[string][]string{env.LinuxAMD64: sets}
	res := resolve(t, m.local(), req)
	want := map[string]string{"openssl": "3.5.8-1~deb13u1", "libssl3t64": "3.5.8-1~deb13u1", "libc6": "2.41-12",
		"erlang-crypto": "1:27.3.4.2+dfsg-1", "mawk": "1.3"}
	if diff := cmp.Diff(want, versions(res.Lock, env.LinuxAMD64)); diff != "" {
		t.Error(diff)
	}
	for _, p := range res.Lock.Packages {
		// The toolchain needs libssl3t64 by way of openssl, with all it needs.
		if depends := map[string]int{"openssl": 1, "libssl3t64": 1}[p.Name]; len(p.Depends) != depends {
			t.Errorf("%s depends on %v", p.Name, p.Depends)
		}
	}
	// A bare pin that is listed no more stays bare, and only that.
	m.publish("debian", "trixie", day.Add(48*time.Hour), base()[:len(base())-4], erlang("1:27.3.4.3+dfsg-1"))
	req.Previous, req.Now = &res.Lock, day.Add(49*time.Hour)
	again := resolve(t, m.local(), req)
	if len(again.Moved) != 0 {
		t.Errorf("moved %v", again.Moved)
	}
	req.Bare = nil
	full := versions(resolve(t, m.local(), req).Lock, env.LinuxAMD64)
	if full["erlang-base"] != "1:27.3.4.3+dfsg-1" || full["erlang-crypto"] != full["erlang-base"] {
		t.Errorf("%v", full)
	}
	req.Bare, sets["image"] = []string{"image"}, []string{"libc6 (>= 99)"}
	var unsat *debian.UnsatisfiableError
	if _, err := m.local().Resolve(t.Context(), req); !errors.As(err, &unsat) || unsat.Platform != env.LinuxAMD64 {
		t.Errorf("%v", err)
	}
}
