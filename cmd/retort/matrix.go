package main

import (
	"context"
	"strconv"
	"strings"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/layers"
)

// findCell reads --with; "" is the build without a cell.
func findCell(m *env.Manifest, with string) (env.Cell, error) {
	if with == "" {
		return env.Cell{}, nil
	}
	named, err := env.ParseCell(with)
	if err == nil {
		named, err = m.FindCell(named)
	}
	if err != nil {
		return env.Cell{}, usagef("--with: %v", err)
	}
	return named, nil
}

// cellResult is what `build --matrix --json` prints of one cell.
type cellResult struct {
	Cell  string       `json:"cell"`
	Exit  int          `json:"exit"`
	Error string       `json:"error,omitempty"`
	Build *buildResult `json:"build,omitempty"`
}

// buildMatrix builds every cell of the matrix. One that fails does not keep the
// others from being built.
func buildMatrix(ctx context.Context, t *terminal, o buildOptions) error {
	_, m, err := t.loadManifest()
	if err != nil {
		return err
	}
	cells := m.Cells()
	if len(cells) == 0 {
		return usagef("build --matrix: toolchain.toml has no [matrix]")
	}
	o.root = &layers.ProjectRoot{For: strings.TrimSpace("matrix " + o.platform)}
	var results []cellResult
	worst := exitDone
	for i, c := range cells {
		t.say("cell %d of %d: %s", i+1, len(cells), c)
		o.with = c.String()
		built, err := buildRelease(ctx, t, o)
		r := cellResult{Cell: o.with, Exit: exitCode(ctx, err)}
		if err == nil {
			r.Build = &built
		} else {
			r.Error = err.Error()
			t.fail(err, r.Exit)
		}
		results = append(results, r)
		worst = max(worst, r.Exit)
		if r.Exit == exitInterrupted {
			break
		}
	}
	if o.json {
		err = t.printJSON(map[string]any{"exit": worst, "cells": results})
	} else {
		printCells(t, results)
	}
	if err == nil && worst != exitDone {
		err = &statusError{worst}
	}
	return err
}

// printCells prints a line for each cell: its exit code, its versions, and the
// release if there is one.
func printCells(t *terminal, results []cellResult) {
	for _, r := range results {
		line := []string{strconv.Itoa(r.Exit), r.Cell}
		if r.Build != nil && len(r.Build.Outputs) > 0 {
			line = append(line, r.Build.Outputs[0].Path, r.Build.Outputs[0].Digest.String())
		}
		t.result(line...)
	}
}
