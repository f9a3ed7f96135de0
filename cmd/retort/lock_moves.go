package main

import (
	"fmt"
	"strings"

	"github.com/retort-build/retort/env"
)

// A sourceMove is a source release whose pin changed.
type sourceMove struct {
	Tool string `json:"tool"`
	Want string `json:"want"`
	From string `json:"from,omitempty"` // version; "" for a pin that came
	To   string `json:"to,omitempty"`   // likewise "" for one that went
	// URL is where it comes from now, and Suite the one of Debian that lists it.
	URL   string `json:"url,omitempty"`
	Suite string `json:"suite,omitempty"`
}

func moveOf(from string, s env.Source) sourceMove {
	return sourceMove{Tool: s.Tool, Want: s.Want, From: from, To: s.Version, URL: s.URL, Suite: s.Suite}
}

func (m sourceMove) String() string {
	name := m.Tool
	if version, _, _ := strings.Cut(m.Want, " "); version != m.To && m.To != "" {
		name += " " + version
	}
	place := m.URL
	if m.Suite != "" {
		place += " (" + m.Suite + ")"
	}
	switch {
	case m.To == "":
		return fmt.Sprintf("%s: gone, was %s", name, m.From)
	case m.From == "":
		return fmt.Sprintf("%s: new, %s from %s", name, m.To, place)
	}
	return fmt.Sprintf("%s: %s -> %s from %s", name, m.From, m.To, place)
}

// sourceMoves compares the sources of two locks. Where one want of a tool took
// the place of another, the pin has moved.
func sourceMoves(before, after *env.Lock) []sourceMove {
	if before == nil {
		before = &env.Lock{}
	}
	var out []sourceMove
	for _, tool := range env.ToolNames() {
		var came, gone []env.Source
		for _, s := range after.Sources {
			if old, ok := before.Source(tool, s.Want); s.Tool == tool && !ok {
				came = append(came, s)
			} else if s.Tool == tool && (old.Digest != s.Digest || old.URL != s.URL) {
				out = append(out, moveOf(old.Version, s))
			}
		}
		for _, s := range before.Sources {
			if _, ok := after.Source(tool, s.Want); s.Tool == tool && !ok {
				gone = append(gone, s)
			}
		}
		if len(came) == 1 && len(gone) == 1 {
			if came[0].Digest != gone[0].Digest {
				out = append(out, moveOf(gone[0].Version, came[0]))
			}
			continue
		}
		for _, s := range came {
			out = append(out, moveOf("", s))
		}
		for _, s := range gone {
			out = append(out, sourceMove{Tool: tool, Want: s.Want, From: s.Version})
		}
	}
	return out
}
