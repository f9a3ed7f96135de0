package main

import (
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/builder"
	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/layers"
	"github.com/retort-build/retort/registry"
)

// A patch release of OpenSSL leaves the release as it is, and makes another image.
func TestOutputsOfAnotherOpenSSL(t *testing.T) {
	inputs := func(openssl string) digest.Digest {
		f := &finished{session: &session{workspace: &workspace{lock: &env.Lock{}}}}
		f.Release.DiffID = digest.FromString("release")
		f.Layers = map[string]layers.Layer{builder.StepOpenSSL: {DiffID: digest.FromString(openssl)}}
		return f.outputInputs(registry.OCI)
	}
	if inputs("3.5.6") == inputs("3.5.7") {
		t.Error("the files of one OpenSSL pass for those of another")
	}
	if inputs("3.5.7") != inputs("3.5.7") {
		t.Error("nothing is ever found again")
	}
}
