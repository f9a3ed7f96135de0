package sandbox

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/retort-build/retort/builder"
	"github.com/retort-build/retort/builder/sandbox/inside"
)

// newSpec checks p and translates it. Everything that can be refused without
// touching the machine is refused here.
func newSpec(p builder.Process) (*inside.Spec, error) {
	if len(p.Root) == 0 {
		return nil, errors.New("root: no directories")
	}
	if len(p.Argv) == 0 || p.Argv[0] == "" {
		return nil, errors.New("argv: empty")
	}
	s := &inside.Spec{
		Root: texts(distinct(p.Root)), Scratch: p.Scratch, Tmpfs: texts(p.Tmpfs),
		Argv: texts(p.Argv), Env: texts(p.Env), Dir: inside.Text(p.Dir),
		NoStdin: p.Stdin == nil, Terminal: p.Terminal,
	}
	if s.Dir == "" {
		s.Dir = "/"
	}
	targets := slices.Clone(p.Tmpfs)
	hosts := slices.Clone(p.Root)
	if w := p.Work; w != nil {
		lowers := distinct(w.Lowers)
		s.Work = &inside.Work{Path: inside.Text(w.Path), Lowers: texts(lowers), Upper: inside.Text(w.Upper), Tmp: inside.Text(w.Tmp)}
		if len(lowers) > inside.MaxLowers {
			return nil, fmt.Errorf("work: %d directories, an overlay takes %d", len(lowers), inside.MaxLowers)
		}
		targets = append(targets, w.Path)
		hosts = append(hosts, w.Upper, w.Tmp)
		hosts = append(hosts, lowers...)
	}
	for _, b := range p.Binds {
		s.Binds = append(s.Binds, inside.Bind{Source: inside.Text(b.Source), Target: inside.Text(b.Target)})
		targets = append(targets, b.Target)
		hosts = append(hosts, b.Source)
	}
	if len(s.Root) > inside.MaxLowers {
		return nil, fmt.Errorf("root: %d directories, an overlay takes %d", len(s.Root), inside.MaxLowers)
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
			return fmt.Errorf("environment %q: want KEY=value without NUL", key)
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

func texts(in []string) []inside.Text {
	out := make([]inside.Text, len(in))
	for i, s := range in {
		out[i] = inside.Text(s)
	}
	return out
}
