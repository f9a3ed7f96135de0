package builder

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/retort-build/retort/layers"
)

// Built is a release and what it came from.
type Built struct {
	Project Project
	Name    string // of the release
	Version string // of the release, as its start_erl.data has it
	Plan    layers.Plan
	Layers  map[string]layers.Layer
	Release layers.Layer // the release's tree: bin, erts-*, lib, releases

	hits hits // of planning
}

// Release builds an application's release: it asks Mix about the project, then
// realises the plan that follows from the answer.
func (b *Builder) Release(ctx context.Context, a MixApp, name string) (Built, error) {
	built, err := b.Plan(ctx, a, name)
	if err != nil {
		return Built{}, err
	}
	if built.Layers, err = b.realise(ctx, built.Plan, built.hits); err != nil {
		return Built{}, err
	}
	if a.Cross != nil {
		if err := b.checkPortable(ctx, built, a.Cross); err != nil {
			return Built{}, err
		}
	}
	built.Release = built.Layers[StepRelease]
	built.Version, err = b.releaseVersion(built.Release)
	return built, err
}

// Plan asks Mix about the project and returns the plan of its release, with
// the layers of what had to be realised for the question.
func (b *Builder) Plan(ctx context.Context, a MixApp, name string) (Built, error) {
	known := make(hits)
	plan, err := a.ProjectPlan()
	if err != nil {
		return Built{}, err
	}
	asked, err := b.realise(ctx, plan, known)
	if err != nil {
		return Built{}, err
	}
	data, err := b.read(asked[StepProject], ProjectFile, maxProject)
	if err != nil {
		return Built{}, err
	}
	built := Built{Layers: asked, hits: known}
	if built.Project, err = ParseProject(data); err != nil {
		return Built{}, err
	}
	for _, doubt := range a.unusedNIFs(built.Project) {
		b.event(Event{Kind: Warning, Err: doubt})
	}
	if built.Name, err = built.Project.ReleaseName(name); err != nil {
		return Built{}, err
	}
	built.Plan, err = a.ReleasePlan(built.Project, built.Name)
	return built, err
}

// releaseVersion reads "ERTS VERSION" of releases/start_erl.data.
func (b *Builder) releaseVersion(l layers.Layer) (string, error) {
	const name = "releases/start_erl.data"
	data, err := b.read(l, name, 4096)
	if err != nil {
		return "", err
	}
	fields := strings.Fields(string(data))
	if len(fields) != 2 || strings.ContainsAny(fields[1], "/\\") {
		return "", fmt.Errorf("read %s of the release: %q is not an ERTS version and a release version", name, data)
	}
	return fields[1], nil
}

func (b *Builder) read(l layers.Layer, name string, limit int64) ([]byte, error) {
	f, err := b.Store.OpenFile(l, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("more than %d bytes", limit)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return data, nil
}
