package main

import (
	"bytes"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/retort-build/retort/builder"
	"github.com/retort-build/retort/internal/fixture"
	"github.com/retort-build/retort/layers"
)

// fakeTime makes every C program of a step see a clock that is a year ahead,
// BEAM included. The kernel's own clock stays: other tests, and whatever else
// runs on the machine, need it. (testClock moves that one, where it may.)
var fakeTime = []string{
	"FAKETIME=+365d", "FAKETIME_DONT_FAKE_MONOTONIC=1", "NO_FAKE_STAT=1",
	"LD_PRELOAD=/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
}

// testYear builds the same releases now and a year later.
func (k *kit) testYear(t *testing.T) {
	if native().Arch() != "amd64" {
		t.Skip("the path of libfaketime is amd64's here")
	}
	for _, row := range matrix {
		if !row.year {
			continue
		}
		t.Run(row.example, func(t *testing.T) {
			if row.example == "shop" {
				fixture.NeedNightly(t)
			}
			k.yearLater(t, k.exampleFor(t, row.example))
		})
	}
}

func (k *kit) yearLater(t *testing.T, s app) {
	s.variant = "-year"
	s.files["toolchain.toml"] = "platforms = [\"linux/amd64\"]\n" + s.files["toolchain.toml"] + "\n[base]\npackages = [\"libfaketime\"]\n"
	s.files["toolchain.lock"] = string(k.lock(t, s))
	session, built := k.planned(t, s)

	// The control: a program of the sandbox does see next year.
	later := ahead(built.Plan)
	var year bytes.Buffer
	err := session.builder.Exec(t.Context(), later, builder.StepRelease, builder.Command{
		Argv:   []string{"/usr/bin/erl", "-noshell", "-eval", "{{Y,_,_},_} = calendar:universal_time(), io:put_chars(integer_to_list(Y)), halt()."},
		Stdout: &year, Stderr: os.Stderr,
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.TrimSpace(year.String()), strconv.Itoa(time.Now().AddDate(0, 0, 365).UTC().Year()); got != want {
		t.Fatalf("inside it is the year %s, want %s: the test proves nothing", got, want)
	}

	now, err := session.builder.Realise(t.Context(), built.Plan)
	if err != nil {
		t.Fatal(err)
	}
	then, err := session.builder.Realise(t.Context(), later)
	if err != nil {
		t.Fatal(err)
	}
	if now[builder.StepRelease] != then[builder.StepRelease] {
		t.Errorf("the release is %s now and %s in a year", now[builder.StepRelease].DiffID, then[builder.StepRelease].DiffID)
	}
}

// planned opens a project in this process, with the seed's store, and asks Mix
// about it.
func (k *kit) planned(t *testing.T, s app) (*session, builder.Built) {
	t.Helper()
	session := k.session(t, k.seed, s.write(t, folder(t), writeOptions{}))
	built, err := session.plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return session, built
}

// session is one of the project in dir, in this process.
func (k *kit) session(t *testing.T, home, dir string) *session {
	t.Helper()
	t.Setenv("RETORT_HOME", home)
	t.Setenv("RETORT_CONFIG", k.seed+".toml")
	t.Setenv("RETORT_DEBIAN_MIRROR", k.mirror.url())
	term := &terminal{in: os.Stdin, out: os.Stdout, err: os.Stderr, dir: dir}
	s, err := term.session(t.Context(), sessionFlags{progress: "quiet"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	return s
}

// ahead is the plan with the clock of every program a year ahead.
func ahead(plan layers.Plan) layers.Plan {
	out := layers.Plan{Recipes: slices.Clone(plan.Recipes)}
	for i := range out.Recipes {
		if r := &out.Recipes[i]; r.Kind == layers.Run {
			r.Env = append(slices.Clone(r.Env), fakeTime...)
			slices.Sort(r.Env)
		}
	}
	return out
}
