package builder

import (
	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/layers"
)

// EventKind says what happened to a step.
type EventKind string

// The life of a step: planned, then hit, or fetching and running, then done or failed.
const (
	Planned  EventKind = "planned"
	Hit      EventKind = "hit"      // the store has the layer of this key
	Fetching EventKind = "fetching" // Bytes of Total have arrived
	Running  EventKind = "running"
	Done     EventKind = "done"
	Failed   EventKind = "failed"
	Warning  EventKind = "warning" // of no step: Err says what looks wrong
)

// Event is one thing that happened. It carries no time: whoever shows it knows
// when it came.
type Event struct {
	Step     string
	Platform env.Platform // of the step's recipe: what its layer is for, or env.Any
	Kind     EventKind
	What     layers.Kind // of the step's recipe
	Key      layers.Key  // hit and done
	Layer    layers.Layer
	Bytes    int64 // fetching: arrived so far
	Total    int64 // fetching: 0 if not known
	Err      error // failed and warning
}
