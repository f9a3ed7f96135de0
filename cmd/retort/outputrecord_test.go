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
	s := &session{workspace: &workspace{lock: &env.Lock{}}}
	record := func(openssl string) outputRecord {
		built := builder.Built{Release: layers.Layer{DiffID: digest.FromString("release")}, Layers: map[string]layers.Layer{
			builder.StepOpenSSL: {DiffID: digest.FromString(openssl)},
		}}
		return s.outputRecord(built, "dist", registry.OCI, commit{})
	}
	if record("3.5.6") == record("3.5.7") {
		t.Error("the files of one OpenSSL pass for those of another")
	}
	if record("3.5.7") != record("3.5.7") {
		t.Error("nothing is ever found again")
	}
}
