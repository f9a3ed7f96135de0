package configure

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/internal/tarball"
)

// session is the state of one configuration.
type session struct {
	in     Input
	v      *vfs
	rep    *Report
	order  []Package
	byName map[string]Package

	// The parts of a pipeline run side by side, which the locks are for.
	db           sync.Mutex // held by the commands in exclusive; guards the next four
	alternatives map[string]*group
	diversions   []diversion
	overrides    []override
	questions    map[string]*question

	mu        sync.Mutex // guards the report and the rest
	triggered map[string]bool
	current   string // package whose script runs
}

func layer(ctx context.Context, in Input, sink Sink) (Report, error) {
	rep := Report{}
	if !slices.Contains(env.Platforms(), in.Platform) {
		return rep, fmt.Errorf("platform %q: want one machine", in.Platform)
	}
	sorted, err := order(in.Packages)
	if err != nil {
		return rep, err
	}
	v, err := openTrees(ctx, in.Trees)
	if err != nil {
		return rep, err
	}
	defer v.close()
	s := &session{
		in: in, v: v, rep: &rep, order: sorted, byName: make(map[string]Package),
		alternatives: make(map[string]*group), questions: make(map[string]*question), triggered: make(map[string]bool),
	}
	for _, p := range sorted {
		s.byName[p.Name] = p
		rep.Order = append(rep.Order, p.Name)
	}
	if err := s.configure(ctx); err != nil {
		return rep, err
	}
	rep.Removed, err = v.changes(func(e tarball.Entry, content io.Reader) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return sink.Add(e, content)
	})
	return rep, err
}

// configure runs every step over the virtual tree, in dpkg's order.
func (s *session) configure(ctx context.Context) error {
	if err := s.before(); err != nil {
		return err
	}
	for _, p := range s.order {
		s.loadTemplates(p.Name)
	}
	for _, step := range []struct {
		script string
		params []string
	}{{"preinst", []string{"install"}}, {"postinst", []string{"configure", ""}}} {
		for _, p := range s.order {
			if step.script == "postinst" {
				if err := s.runScript(ctx, p, "config", []string{"configure", ""}); err != nil {
					return err
				}
			}
			if err := s.runScript(ctx, p, step.script, step.params); err != nil {
				return err
			}
		}
	}
	if err := s.runTriggers(ctx); err != nil {
		return err
	}
	return s.after(ctx)
}

// runScript interprets a maintainer script of a package, if it has one.
func (s *session) runScript(ctx context.Context, p Package, script string, params []string) error {
	text, err := s.v.readFile(dpkgDir + "info/" + p.Name + "." + script)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s of %s: %w", script, p.Name, err)
	}
	if !isShell(string(text)) {
		if script == "config" { // it could only ask what keeps its default
			s.rep.Skipped = append(s.rep.Skipped, Script{p.Name, script, "not a shell script: " + firstLine(string(text))})
			return nil
		}
		return fmt.Errorf("%s of %s: not a shell script: %q", script, p.Name, firstLine(string(text)))
	}
	sh := &shell{
		session: s, pkg: p, script: script, steps: new(atomic.Int64), umask: new(atomic.Uint32),
		dash: !strings.Contains(firstLine(string(text)), "bash"),
	}
	sh.umask.Store(0o022)
	s.mu.Lock()
	s.current = p.Name
	s.mu.Unlock()
	in, err := memFile(nil)
	if err != nil {
		return err
	}
	defer in.Close()
	out := &tailWriter{}
	code, err := sh.runText(ctx, p.Name+"."+script, string(text), params, stdio{in, out, out})
	if err == nil && code != 0 {
		err = fmt.Errorf("exit status %d", code)
	}
	if err == nil {
		return ctx.Err()
	}
	if log := out.String(); log != "" {
		err = fmt.Errorf("%w: %s", err, log)
	}
	return fmt.Errorf("%s of %s: %w", script, p.Name, err)
}

// tailWriter keeps the end of what scripts print.
type tailWriter struct {
	mu  sync.Mutex
	buf []byte
}

func (w *tailWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf = append(w.buf, p...)
	if len(w.buf) > 2*maxOutput {
		w.buf = bytes.Clone(w.buf[len(w.buf)-maxOutput:])
	}
	return len(p), nil
}

func (w *tailWriter) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := lines(bytes.TrimSpace(w.buf))
	return strings.Join(all[max(0, len(all)-5):], "; ")
}

// unknown reports a command that nothing is known about.
func (s *session) unknown(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rep.Unknown = addCommand(s.rep.Unknown, Command{Package: s.current, Name: name})
}

// ignore reports a command that was left out on purpose.
func (s *session) ignore(name, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rep.Ignored = addCommand(s.rep.Ignored, Command{s.current, name, reason})
}

func addCommand(list []Command, c Command) []Command {
	if slices.Contains(list, c) {
		return list
	}
	return append(list, c)
}

func (s *session) activate(trigger string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.triggered[trigger] = true
}

// runTriggers runs the scripts of packages whose triggers others pulled, by
// name, or by shipping a file below a path.
func (s *session) runTriggers(ctx context.Context) error {
	interests := make([][]string, len(s.order))
	for i, p := range s.order {
		b, err := s.v.readFile(dpkgDir + "info/" + p.Name + ".triggers")
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("triggers of %s: %w", p.Name, err)
		}
		for _, l := range lines(b) {
			f := strings.Fields(l)
			if len(f) < 2 {
				continue
			}
			switch verb, _, _ := strings.Cut(f[0], "-"); verb {
			case "activate":
				s.activate(f[1])
			case "interest":
				interests[i] = append(interests[i], f[1])
			}
		}
	}
	for i, p := range s.order {
		var pulled []string
		for _, name := range interests[i] {
			if s.triggered[name] || strings.HasPrefix(name, "/") && s.hasBelow(name) {
				pulled = append(pulled, name)
			}
		}
		if len(pulled) == 0 {
			continue
		}
		slices.Sort(pulled)
		if err := s.runScript(ctx, p, "postinst", []string{"triggered", strings.Join(pulled, " ")}); err != nil {
			return err
		}
	}
	return nil
}

// hasBelow says that there are files at a path.
func (s *session) hasBelow(dir string) bool {
	n, err := s.v.find(dir, true)
	return err == nil && (n.kind != tarball.Dir || len(n.children) > 0)
}
