package debian_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/env/debian"
	"github.com/retort-build/retort/internal/fixture"
)

// TestAgainstAPTAtRandom compares what random packages come down to with what apt
// would install, on both platforms: 200 sets of one to six packages each.
// Where apt finds nothing, there is nothing. Of alternatives it takes others in one
// set of twelve; then it has nothing to say against ours, and nothing to add.
func TestAgainstAPTAtRandom(t *testing.T) {
	e2e(t)
	fixture.NeedNightly(t)
	mirrors, err := debian.FromAPT("/")
	if err != nil {
		t.Fatal(err)
	}
	archive := &debian.Archive{Mirrors: mirrors, Cache: dirCache(t.TempDir())}
	req := debian.Request{Suite: "trixie", Now: time.Now(), AllowExpired: []string{"trixie", "trixie-updates", "trixie-security"}}
	const sets = 200
	choosers, err := archive.Choosers(t.Context(), req, env.Platforms())
	if err != nil {
		t.Fatal(err)
	}
	res, err := archive.Resolve(t.Context(), debian.Request{
		Suite: req.Suite, Now: req.Now, AllowExpired: req.AllowExpired, Manifest: "sha256:" + "0",
		Sets: map[env.Platform]map[string][]string{env.LinuxAMD64: {"x": {"base-files"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	dirs := t.TempDir()
	for i, p := range env.Platforms() {
		root := aptRoot(t, dirs, mirrors, res.Lock.Suites, p)
		names := choosers[i].Names()
		random := rand.New(rand.NewPCG(uint64(len(p)), 22))
		found, others := 0, 0
		for n := range sets {
			var roots []string
			for range 1 + n%6 {
				roots = append(roots, names[random.IntN(len(names))])
			}
			slices.Sort(roots)
			roots = slices.Compact(roots)
			essential, got, err := choosers[i].Choose(roots)
			want, refused := aptTries(t, root, slices.Concat(roots, essential))
			var none *debian.UnsatisfiableError
			switch {
			case err != nil && !errors.As(err, &none):
				t.Errorf("%s %v: %v", p, roots, err)
			case (err != nil) != refused:
				t.Errorf("%s %v: apt refuses: %v; we: %v", p, roots, refused, err)
			case err == nil:
				found++
				if slices.Equal(want, got) {
					continue
				}
				others++
				if again, _ := aptTries(t, root, exactly(got)); !slices.Equal(again, got) {
					t.Errorf("%s %v: apt -, ours +:\n%s\nwith ours asked for, apt -, ours +:\n%s", p, roots, cmp.Diff(want, got), cmp.Diff(again, got))
				}
			}
		}
		t.Logf("%s: %d of %d sets of %d packages can be installed; in %d apt takes other alternatives", p, found, sets, len(names), others)
		if found < sets/2 || others > max(3, found/8) {
			t.Errorf("%s: %d of %d sets can be installed, %d of them in another way", p, found, sets, others)
		}
	}
}

// exactly asks apt for these packages in these versions.
func exactly(chosen []string) []string {
	var out []string
	for _, c := range chosen {
		out = append(out, strings.Replace(c, " ", "=", 1))
	}
	return out
}

// aptTries is what apt would install; true if it finds nothing.
func aptTries(t *testing.T, dir string, roots []string) ([]string, bool) {
	t.Helper()
	out, err := aptRun(t, dir, append([]string{"-s", "install"}, roots...)...)
	if err != nil && !strings.Contains(err.Error(), "unmet dependencies") && !strings.Contains(err.Error(), "Unable to correct problems") {
		t.Fatal(fmt.Errorf("apt-get install %v: %w", roots, err))
	}
	return installed(out), err != nil
}
