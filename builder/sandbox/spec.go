package sandbox

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/retort-build/retort/builder"
)

const (
	// maxFrame bounds one message between the engine and its init. The kernel
	// takes at most 6 MiB of arguments and environment, which base64 makes 8.
	maxFrame = 16 << 20
	// maxLowers is the kernel's limit of 500 directories an overlay, less
	// the one that carries missing mount points.
	maxLowers = 499
)

// text is a string of any bytes; JSON alone would replace those that are not
// UTF-8.
type text string

func (t text) MarshalText() ([]byte, error) {
	return base64.RawStdEncoding.AppendEncode(nil, []byte(t)), nil
}

func (t *text) UnmarshalText(b []byte) error {
	s, err := base64.RawStdEncoding.DecodeString(string(b))
	*t = text(s)
	return err
}

// spec is what the init is told: builder.Process without its streams.
type spec struct {
	Root     []text `json:"root"`
	Scratch  bool   `json:"scratch,omitempty"`
	Work     *work  `json:"work,omitempty"`
	Tmpfs    []text `json:"tmpfs,omitempty"`
	Binds    []bind `json:"binds,omitempty"`
	Argv     []text `json:"argv"`
	Env      []text `json:"env"`
	Dir      text   `json:"dir"`
	NoStdin  bool   `json:"noStdin,omitempty"`
	ASLR     bool   `json:"aslr,omitempty"`
	Terminal bool   `json:"terminal,omitempty"`
	Rows     uint16 `json:"rows,omitempty"`
	Cols     uint16 `json:"cols,omitempty"`
}

type work struct {
	Path   text   `json:"path"`
	Lowers []text `json:"lowers"`
	Upper  text   `json:"upper"`
	Tmp    text   `json:"tmp"`
}

type bind struct {
	Source text `json:"source"`
	Target text `json:"target"`
}

// reply is what the init says: that the terminal is there, that a step of its
// set-up failed, or how the program ended.
type reply struct {
	Terminal bool   `json:"terminal,omitempty"`
	Fault    *fault `json:"fault,omitempty"`
	Exit     *exit  `json:"exit,omitempty"`
}

type exit struct {
	Code   int `json:"code"`
	Signal int `json:"signal,omitempty"`
}

// newSpec checks p and translates it. Everything that can be refused without
// touching the machine is refused here.
func newSpec(p builder.Process) (*spec, error) {
	if len(p.Root) == 0 {
		return nil, errors.New("root: no directories")
	}
	if len(p.Argv) == 0 || p.Argv[0] == "" {
		return nil, errors.New("argv: empty")
	}
	s := &spec{
		Root: texts(distinct(p.Root)), Scratch: p.Scratch, Tmpfs: texts(p.Tmpfs),
		Argv: texts(p.Argv), Env: texts(p.Env), Dir: text(p.Dir),
		NoStdin: p.Stdin == nil, Terminal: p.Terminal,
	}
	if s.Dir == "" {
		s.Dir = "/"
	}
	targets := slices.Clone(p.Tmpfs)
	hosts := slices.Clone(p.Root)
	if w := p.Work; w != nil {
		lowers := distinct(w.Lowers)
		s.Work = &work{Path: text(w.Path), Lowers: texts(lowers), Upper: text(w.Upper), Tmp: text(w.Tmp)}
		if len(lowers) > maxLowers {
			return nil, fmt.Errorf("work: %d directories, an overlay takes %d", len(lowers), maxLowers)
		}
		targets = append(targets, w.Path)
		hosts = append(hosts, w.Upper, w.Tmp)
		hosts = append(hosts, lowers...)
	}
	for _, b := range p.Binds {
		s.Binds = append(s.Binds, bind{Source: text(b.Source), Target: text(b.Target)})
		targets = append(targets, b.Target)
		hosts = append(hosts, b.Source)
	}
	if len(s.Root) > maxLowers {
		return nil, fmt.Errorf("root: %d directories, an overlay takes %d", len(s.Root), maxLowers)
	}
	if err := checkStrings(p, hosts); err != nil {
		return nil, err
	}
	return s, checkTargets(targets, string(s.Dir))
}

// checkStrings refuses what the kernel would cut at a NUL or take relative to
// a directory that varies.
func checkStrings(p builder.Process, hosts []string) error {
	for _, h := range hosts {
		if !strings.HasPrefix(h, "/") || strings.ContainsRune(h, 0) {
			return fmt.Errorf("host path %q: not absolute", h)
		}
	}
	for _, a := range p.Argv {
		if strings.ContainsRune(a, 0) {
			return fmt.Errorf("argument %q: contains NUL", a)
		}
	}
	seen := make(map[string]bool, len(p.Env))
	for _, e := range p.Env {
		key, _, ok := strings.Cut(e, "=")
		if !ok || key == "" || strings.ContainsRune(e, 0) {
			return fmt.Errorf("environment %q: want KEY=value", e)
		}
		if seen[key] {
			return fmt.Errorf("environment %q: set twice", key)
		}
		seen[key] = true
	}
	return nil
}

// checkTargets refuses places which the sandbox fills itself, and two mounts
// in one place.
func checkTargets(targets []string, dir string) error {
	if !clean(dir) {
		return fmt.Errorf("working directory %q: not a clean absolute path", dir)
	}
	seen := make(map[string]bool, len(targets))
	for _, t := range targets {
		top, _, _ := strings.Cut(strings.TrimPrefix(t, "/"), "/")
		switch {
		case !clean(t) || t == "/":
			return fmt.Errorf("mount point %q: not a clean absolute path below /", t)
		case top == "proc" || top == "dev" || top == "sys":
			return fmt.Errorf("mount point %q: /%s belongs to the sandbox", t, top)
		case seen[t]:
			return fmt.Errorf("mount point %q: used twice", t)
		}
		seen[t] = true
	}
	return nil
}

// clean reports whether p is absolute, in shortest form and fit for a system
// call.
func clean(p string) bool {
	if p == "/" {
		return true
	}
	if !strings.HasPrefix(p, "/") || strings.ContainsRune(p, 0) || len(p) >= 4096 {
		return false
	}
	for part := range strings.SplitSeq(p[1:], "/") {
		if part == "" || part == "." || part == ".." {
			return false
		}
	}
	return true
}

// distinct drops the later ones of equal strings: an overlay refuses the same
// directory twice, and the upper one hides the lower.
func distinct(in []string) []string {
	seen := make(map[string]bool, len(in))
	out := make([]string, 0, len(in))
	for _, s := range in {
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}

func texts(in []string) []text {
	out := make([]text, len(in))
	for i, s := range in {
		out[i] = text(s)
	}
	return out
}

func plain(in []text) []string {
	out := make([]string, len(in))
	for i, s := range in {
		out[i] = string(s)
	}
	return out
}

// encodeFrame is v as JSON behind its length.
func encodeFrame(v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	if len(body) > maxFrame {
		return nil, fmt.Errorf("message of %d bytes, at most %d", len(body), maxFrame)
	}
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...), nil
}

// readFrame reads one message into v. It returns io.EOF if there is none.
func readFrame(r io.Reader, v any) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxFrame {
		return fmt.Errorf("message of %d bytes, at most %d", n, maxFrame)
	}
	body, err := io.ReadAll(io.LimitReader(r, int64(n)))
	if err != nil {
		return err
	}
	if len(body) != int(n) {
		return io.ErrUnexpectedEOF
	}
	return json.Unmarshal(body, v)
}
