package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/builder"
	"github.com/retort-build/retort/env"
)

// A history is what the last build of a project was made from: for each step
// the text that its key hashed. It explains why a step ran again, and decides
// nothing.
type history struct {
	Steps map[string]pastStep `json:"steps"`
}

type pastStep struct {
	Key    string `json:"key"`
	Text   string `json:"text"`
	DiffID string `json:"diffID"`
}

// historyFile is the path of the history of the project's builds for one
// target and cell, in the user's cache: the source tree stays as it is.
func (w *workspace) historyFile() string {
	build := w.dir + "\x00" + string(w.config.Platform) + "\x00" + w.config.Target
	if w.config.Cell != (env.Cell{}) {
		build += "\x00" + w.config.Cell.String()
	}
	name := digest.FromString(build).Encoded()
	return filepath.Join(w.settings.home, "history", name+".json")
}

func (w *workspace) loadHistory() (history, error) {
	var h history
	data, err := os.ReadFile(w.historyFile())
	if errors.Is(err, fs.ErrNotExist) {
		return h, nil
	}
	if err != nil {
		return h, err
	}
	if err := json.Unmarshal(data, &h); err != nil {
		return h, fmt.Errorf("read history of the last build: %w: remove %s", err, w.historyFile())
	}
	return h, nil
}

func (w *workspace) saveHistory(steps []builder.Step) error {
	h := history{Steps: make(map[string]pastStep, len(steps))}
	for _, s := range steps {
		h.Steps[s.Recipe.Name] = pastStep{Key: string(s.Key), Text: s.Text, DiffID: s.Layer.DiffID.String()}
	}
	data, err := json.Marshal(h)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(w.historyFile()), 0o755); err != nil {
		return err
	}
	return replaceFile(w.historyFile(), data)
}
