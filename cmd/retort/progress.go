package main

import (
	"encoding/json"
	"fmt"
	"io"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/retort-build/retort/builder"
	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/layers"
)

// redraw is how often the status line changes: fast enough to look alive, slow
// enough not to cost anything.
const redraw = 100 * time.Millisecond

// Progress shows what a build does: a status line on a terminal, plain lines
// elsewhere, or JSON. It knows the time; the builder does not.
type progress struct {
	t     *terminal
	mode  string // "tty", "plain", "json" or "quiet"
	start time.Time
	// several platforms are built for: steps are named with theirs.
	several bool

	mu      sync.Mutex
	steps   map[string]*stepState // by label
	order   []string
	arrived int64 // bytes of all downloads
	after   string
	stop    chan struct{}
	stopped sync.WaitGroup
	once    sync.Once
}

type stepState struct {
	kind         layers.Kind
	state        builder.EventKind
	since, ended time.Time
	bytes, total int64
}

func newProgress(t *terminal, mode string) (*progress, error) {
	switch mode {
	case "auto":
		mode = "plain"
		if t.interactive() {
			mode = "tty"
		}
	case "tty", "plain", "json", "quiet":
	default:
		return nil, usagef("--progress=%s: want auto, tty, plain, json or quiet", mode)
	}
	p := &progress{t: t, mode: mode, start: time.Now(), steps: make(map[string]*stepState), stop: make(chan struct{})}
	if mode == "tty" {
		p.stopped.Add(1)
		go p.draw()
	}
	return p, nil
}

// close ends the status line.
func (p *progress) close() {
	p.once.Do(func() { close(p.stop) })
	p.stopped.Wait()
	p.t.show("")
}

func (p *progress) draw() {
	defer p.stopped.Done()
	tick := time.NewTicker(redraw)
	defer tick.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-tick.C:
			p.t.show(p.statusLine())
		}
	}
}

func (p *progress) event(e builder.Event) {
	if e.Kind == builder.Warning {
		p.t.warn("%s", printable(e.Err.Error()))
		return
	}
	label := p.label(e.Step, e.Platform)
	p.mu.Lock()
	s := p.steps[label]
	if s == nil {
		s = &stepState{kind: e.What}
		p.steps[label] = s
		p.order = append(p.order, label)
	}
	first := s.state != e.Kind
	known := s.state == builder.Done && e.Kind == builder.Hit || // a later plan has it, because it was done
		s.state != "" && e.Kind == builder.Planned // by another plan, too
	if !known {
		p.enter(s, e)
	}
	took := s.ended.Sub(s.since)
	p.mu.Unlock()
	p.report(label, e, first, took)
}

// label is what people know a step by.
func (p *progress) label(step string, of env.Platform) string {
	if p.several && of != "" && of != env.Any {
		return fmt.Sprintf("%s (%s)", step, of)
	}
	return step
}

// enter notes where a step is now.
func (p *progress) enter(s *stepState, e builder.Event) {
	now := time.Now()
	switch e.Kind {
	case builder.Fetching:
		p.arrived += e.Bytes - s.bytes
		s.bytes, s.total = e.Bytes, e.Total
	case builder.Running:
		s.since = now
	case builder.Done, builder.Failed, builder.Hit:
		s.ended = now
	}
	s.state = e.Kind
}

// report prints what is worth a line of its own.
func (p *progress) report(label string, e builder.Event, first bool, took time.Duration) {
	switch {
	case p.mode == "json":
		p.json(e, first)
	case p.mode == "quiet" || e.What != layers.Run:
		return
	case e.Kind == builder.Running && p.mode == "plain":
		p.t.say("%s ...", label)
	case e.Kind == builder.Done:
		p.t.say("%s: done in %s", label, seconds(took))
	}
}

// progressEvent is one line of --progress=json, on stderr. Times are
// milliseconds since the command began.
type progressEvent struct {
	Time     int64  `json:"ms"`
	Step     string `json:"step"`
	Platform string `json:"platform,omitempty"` // what the step's layer is for
	Event    string `json:"event"`
	Kind     string `json:"kind"`
	Key      string `json:"key,omitempty"`
	DiffID   string `json:"diffID,omitempty"`
	Bytes    int64  `json:"bytes,omitempty"`
	Total    int64  `json:"total,omitempty"`
	Error    string `json:"error,omitempty"`
}

func (p *progress) json(e builder.Event, first bool) {
	// One line for the start of a download is enough; its end is a state too.
	if e.Kind == builder.Fetching && !first && e.Bytes < e.Total {
		return
	}
	line := progressEvent{
		Time: time.Since(p.start).Milliseconds(), Step: e.Step, Platform: string(e.Platform), Event: string(e.Kind), Kind: string(e.What),
		Key: string(e.Key), DiffID: e.Layer.DiffID.String(), Bytes: e.Bytes, Total: e.Total,
	}
	if e.Err != nil {
		line.Error = e.Err.Error()
	}
	p.print(line)
}

func (p *progress) print(line progressEvent) {
	if data, err := json.Marshal(line); err == nil {
		p.t.line(string(data))
	}
}

// phase names what happens after all steps are done.
func (p *progress) phase(name string) {
	p.mu.Lock()
	p.after = name
	p.mu.Unlock()
	if p.mode == "json" {
		p.print(progressEvent{Time: time.Since(p.start).Milliseconds(), Step: name, Event: "phase", Kind: "output"})
	}
}

// misses counts the steps that had to be realised.
func (p *progress) misses() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, s := range p.steps {
		if s.state != builder.Hit {
			n++
		}
	}
	return n
}

func (p *progress) statusLine() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var hits, done int
	var total, have int64
	var running []string
	for _, name := range p.order {
		s := p.steps[name]
		switch s.state {
		case builder.Hit:
			hits++
		case builder.Done:
			done++
		case builder.Running:
			running = append(running, name)
		}
		total += s.total
		have += s.bytes
	}
	line := fmt.Sprintf("retort: %d/%d steps, %d hits", hits+done, len(p.order), hits)
	if total > 0 && have < total {
		line += fmt.Sprintf(", fetch %s of %s", bytesText(have), bytesText(total))
	}
	if len(running) > 2 {
		running = append(running[:2], fmt.Sprintf("+%d", len(running)-2))
	}
	if len(running) > 0 {
		line += ", " + strings.Join(running, " ")
	}
	if p.after != "" {
		line += ", " + p.after
	}
	return line + ", " + seconds(time.Since(p.start))
}

// summary prints the time of each step that ran, and hits and misses.
func (p *progress) summary() {
	if p.mode == "json" || p.mode == "quiet" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var hits, misses, unpacked int
	var unpack time.Duration
	var ran []string
	for _, name := range p.order {
		s := p.steps[name]
		switch {
		case s.state == builder.Hit:
			hits++
		case s.state != builder.Done:
		case s.kind == layers.UnpackDeb || s.kind == layers.UnpackHex || s.kind == layers.UnpackNPM || s.kind == layers.UnpackTool:
			misses++
			unpacked++
			unpack += s.ended.Sub(s.since)
		default:
			misses++
			ran = append(ran, name)
		}
	}
	width := 16
	for _, name := range ran {
		width = max(width, len(name))
	}
	if unpacked > 0 {
		p.t.say("  %-*s %8s  (%d packages, summed over jobs)", width, "unpack", seconds(unpack), unpacked)
	}
	sort.SliceStable(ran, func(i, j int) bool { return p.steps[ran[i]].since.Before(p.steps[ran[j]].since) })
	for _, name := range ran {
		s := p.steps[name]
		p.t.say("  %-*s %8s", width, name, seconds(s.ended.Sub(s.since)))
	}
	fetched := ""
	if p.arrived > 0 {
		fetched = ", fetched " + bytesText(p.arrived)
	}
	p.t.say("%d hits, %d misses%s, %s", hits, misses, fetched, seconds(time.Since(p.start)))
}

// log is the writer that a step's output goes to, line by line with its name.
func (p *progress) log(step string) io.Writer {
	return &lineWriter{p: p, step: step}
}

type lineWriter struct {
	p    *progress
	step string
	rest []byte
}

func (w *lineWriter) Write(data []byte) (int, error) {
	w.rest = append(w.rest, data...)
	for {
		i := strings.IndexByte(string(w.rest), '\n')
		if i < 0 {
			return len(data), nil
		}
		w.p.t.line(w.step + "| " + printable(string(w.rest[:i])))
		w.rest = w.rest[i+1:]
	}
}

func seconds(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}
