package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/retort-build/retort/internal/fixture"
)

func sortedKeys(m map[string]string, reverse bool) []string {
	keys := slices.Sorted(maps.Keys(m))
	if reverse {
		slices.Reverse(keys)
	}
	return keys
}

// A variation is everything about a build that must not matter to its result.
type variation struct {
	name   string
	primed bool // the toolchain is in the store; else the store is new
	path   string
	write  writeOptions
	run    start
	host   string // host name
	home   map[string]string
	fds    bool // pass open files on
	args   []string
}

// otherUser is a user without privileges, name or entry anywhere.
const otherUser = 4242

// variations: every aspect differs at least once from the first build, and the
// cold and the primed stores are spread over them.
func variations() []variation {
	return []variation{
		{name: "plain", path: "a"},
		{
			name:  "another user, cold",
			path:  "Ein Quelltext mit Leerzeichen, Übergröße und 日本語/" + strings.Repeat("long/", 20) + "b",
			write: writeOptions{uid: otherUser},
			run: start{
				uid: otherUser, umask: "077",
				env: []string{"TZ=Asia/Kathmandu", "LANG=tr_TR.UTF-8", "LC_ALL=tr_TR.UTF-8", "USER=somebody", "TMPDIR=/var/tmp"},
			},
			args: []string{"--jobs", "4"},
		},
		{
			name: "another machine", primed: true, path: "c",
			write: writeOptions{reverse: true, mtime: time.Date(1991, 2, 3, 4, 5, 6, 0, time.UTC)},
			run: start{
				umask: "000", noStdin: true, wrap: []string{"nice", "-n", "19", "taskset", "-c", "0"},
				env: []string{"TZ=America/St_Johns", "LC_ALL=C"},
			},
			host: "some-other-host.example.org", fds: true, args: []string{"--jobs", "1"},
		},
		{
			name: "poisoned environment", primed: true, path: "d",
			write: writeOptions{mtime: time.Date(2037, 2, 3, 4, 5, 6, 0, time.UTC)},
			run: start{
				wrap: []string{"/bin/sh", "-c", `ulimit -S -n 512; ulimit -S -s 4096; exec "$@"`, "sh"},
				env: []string{
					"ERL_FLAGS=+S 4:4 -setcookie poison", "ERL_AFLAGS=+A 7", "ERL_ZFLAGS=-hidden", "ERL_LIBS=/poison", "ERL_COMPILER_OPTIONS=[debug_info]",
					"ELIXIR_ERL_OPTIONS=+fnl", "MIX_ENV=dev", "MIX_TARGET=poison", "MIX_HOME=/poison", "MIX_DEPS_PATH=/poison", "MIX_BUILD_PATH=/poison",
					"HEX_HOME=/poison", "HEX_OFFLINE=0", "REBAR_CONFIG=/poison", "LD_PRELOAD=/poison.so", "LD_LIBRARY_PATH=/poison", "MAKEFLAGS=-j9 V=1",
					"CFLAGS=-DPOISON", "CC=/poison", "SOURCE_DATE_EPOCH=1", "RELEASE_COOKIE=poison", "RELEASE_NAME=poison",
					"http_proxy=http://127.0.0.1:1", "https_proxy=http://127.0.0.1:1", "no_proxy=127.0.0.1",
					"GIT_DIR=/poison", "GIT_WORK_TREE=/poison", "GIT_INDEX_FILE=/poison", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=core.abbrev", "GIT_CONFIG_VALUE_0=4",
					"GODEBUG=http2debug=0", "GOMAXPROCS=7", "GOGC=20",
				},
			},
			home: map[string]string{
				".gitconfig":                  "[core]\n\tautocrlf = true\n\texcludesFile = ~/ignore\n[log]\n\tshowSignature = true\n[status]\n\tshowUntrackedFiles = no\n[color]\n\tui = always\n",
				"ignore":                      "*.ex\n",
				".mix/config.exs":             "raise \"poison\"\n",
				".hex/hex.config":             "{<<\"poison\">>,true}.\n",
				".erlang":                     "io:format(\"poison\").\n",
				".erlang.cookie":              "POISON",
				".iex.exs":                    "raise \"poison\"\n",
				".netrc":                      "default login poison password poison\n",
				".config/rebar3/rebar.config": "{plugins, [poison]}.\n",
				".bashrc":                     "exit 1\n",
				".profile":                    "exit 1\n",
			},
			args: []string{"--jobs", "2"},
		},
	}
}

// matrix says under which variations each example is built, and whether a year
// later as well. Compiling dependencies takes a minute or two, so those with
// many leave some to the nightly run; the first build comes from the seed.
var matrix = []struct {
	example    string
	variations []string
	nightly    []string
	year       bool
}{
	{"hello", []string{"plain", "another user, cold", "another machine", "poisoned environment"}, nil, true},
	{"shop", []string{"poisoned environment"}, []string{"another user, cold", "another machine"}, true},
	{"umbrella", nil, []string{"another user, cold", "another machine", "poisoned environment"}, false},
}

// testMatrix builds each example under every variation: the release's
// archive and the image's manifest are the same bytes each time.
func (k *kit) testMatrix(t *testing.T) {
	needRoot(t)
	needTools(t, "taskset", "unshare", "setpriv", "nice")
	for _, row := range matrix {
		t.Run(row.example, func(t *testing.T) {
			if len(row.variations) == 0 {
				fixture.NeedNightly(t)
			}
			s := k.exampleFor(t, row.example)
			dir := folder(t)
			want, paths := k.build(t, start{dir: s.write(t, filepath.Join(dir, "ws"), writeOptions{}), home: k.seed}, "-o", filepath.Join(dir, "out"))
			var last start
			wanted := row.variations
			if fixture.Nightly() {
				wanted = append(slices.Clip(wanted), row.nightly...)
			}
			for _, v := range variations() {
				if !slices.Contains(wanted, v.name) {
					continue
				}
				began := time.Now()
				o, these, got := k.vary(t, s, v)
				t.Logf("%s: %s %s, %.1f s", v.name, got.release.Encoded()[:12], got.image.Encoded()[:12], time.Since(began).Seconds())
				if got != want {
					t.Errorf("%s: %s differs:\n%s", v.name, diffNames(got, want), diffArchives(t, paths[0], these[0]))
				}
				last = o
			}
			k.again(t, last, s, want)
		})
	}
}

// again builds once more what the store knows, into another folder; then after
// an edit that is taken back.
func (k *kit) again(t *testing.T, o start, s app, want digests) {
	t.Helper()
	if got, _ := k.build(t, o, "-o", filepath.Join(filepath.Dir(o.home), "another folder")); got != want {
		t.Errorf("from the store, into another folder: %s differs", diffNames(got, want))
	}
	file := filepath.Join(o.dir, "config", "config.exs")
	old := s.files["config/config.exs"]
	// The application's own: what Elixir's would concern is every dependency.
	own := regexp.MustCompile(`(?m)^config :\w+`).FindString(old)
	write(t, file, old+"\n"+own+", of_this_test: true\n")
	if got, _ := k.build(t, o); got.release == want.release {
		t.Error("another configuration gave the same release")
	}
	write(t, file, old)
	if got, _ := k.build(t, o); got != want {
		t.Errorf("after an edit that was taken back: %s differs", diffNames(got, want))
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func diffNames(a, b digests) string {
	var out []string
	if a.release != b.release {
		out = append(out, "the release")
	}
	if a.image != b.image {
		out = append(out, "the image")
	}
	return strings.Join(out, " and ")
}

// exampleFor is example, with what the example needs served.
func (k *kit) exampleFor(t *testing.T, name string) app {
	t.Helper()
	s, err := readExample(name)
	if err != nil {
		t.Fatal(err)
	}
	if s.files["mix.lock"] != "" {
		if err := k.mirror.startHex(); err != nil {
			t.Fatal(err)
		}
	}
	return k.example(t, name)
}

// vary builds a project under a variation.
func (k *kit) vary(t *testing.T, s app, v variation) (start, []string, digests) {
	t.Helper()
	return k.varyPrimed(t, s, s, v)
}

// varyPrimed is vary with the toolchain, if v wants one, of another project.
func (k *kit) varyPrimed(t *testing.T, s, toolchain app, v variation) (start, []string, digests) {
	t.Helper()
	dir := folder(t)
	o := v.run
	o.dir = s.write(t, filepath.Join(dir, v.path), v.write)
	o.home = filepath.Join(dir, "store of "+v.name)
	if v.write.uid != 0 {
		// The other user can enter and not write: its own folders exist.
		if err := os.Chown(dir, v.write.uid, v.write.uid); err != nil {
			t.Fatal(err)
		}
	}
	if v.primed {
		o.home = k.primedHome(t, toolchain, v.run.uid)
	}
	o.user = o.home + ".user"
	for name, text := range v.home {
		write(t, filepath.Join(o.user, name), text)
	}
	if v.host != "" {
		o.wrap = append([]string{"unshare", "--uts", "/bin/sh", "-c", "hostname " + v.host + ` && exec "$@"`, "sh"}, o.wrap...)
	}
	if v.fds {
		o.wrap = append(o.wrap, "/bin/sh", "-c", `exec "$@" 7</etc/hostname 8>/dev/null 9<>/dev/null`, "sh")
	}
	got, paths := k.build(t, o, v.args...)
	return o, paths, got
}

// testClock builds with the machine's clock ahead. Only the kernel's own clock
// will do: retort is static and the virtual machine in the sandbox reads the
// clock through the vDSO, so no preloaded library reaches either, and a time
// namespace does not move CLOCK_REALTIME. For the seconds that a build takes it
// disturbs whatever else runs on the machine, hence a variable of its own.
func (k *kit) testClock(t *testing.T) {
	setting := os.Getenv("RETORT_E2E_CLOCK")
	if setting == "" {
		t.Skip("moves this machine's clock while a build runs: set RETORT_E2E_CLOCK to a duration, as 8760h for a year")
	}
	by, err := time.ParseDuration(setting)
	if err != nil {
		t.Fatal(err)
	}
	needRoot(t)
	s := k.example(t, "hello")
	want := k.expected(t, s)
	o := start{dir: s.write(t, folder(t), writeOptions{}), home: k.primedHome(t, s, 0)}
	var got digests
	func() {
		defer moveClock(t, by)()
		got, _ = k.build(t, o)
	}()
	if got != want {
		t.Errorf("%v ahead: %s differs", by, diffNames(got, want))
	}
}

// moveClock moves the clock and returns what moves it back by what has passed.
func moveClock(t *testing.T, by time.Duration) (back func()) {
	t.Helper()
	read := func(id int32) time.Duration {
		var ts unix.Timespec
		if err := unix.ClockGettime(id, &ts); err != nil {
			t.Fatal(err)
		}
		return time.Duration(ts.Nano())
	}
	set := func(to time.Duration) {
		ts := unix.NsecToTimespec(int64(to))
		if err := unix.ClockSettime(unix.CLOCK_REALTIME, &ts); err != nil {
			t.Fatalf("set the clock: %v", err)
		}
	}
	real, mono := read(unix.CLOCK_REALTIME), read(unix.CLOCK_MONOTONIC)
	set(real + by)
	return func() {
		set(real + read(unix.CLOCK_MONOTONIC) - mono)
		if now := read(unix.CLOCK_REALTIME); now < real || now > real+time.Hour {
			fmt.Fprintln(os.Stderr, "the clock of this machine is wrong now")
		}
	}
}
