package registry

import (
	"maps"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/env"
)

// The wire form of the documents, for writing and for reading. Field order is
// of no account: canonical sorts the keys.
type (
	descriptorJSON struct {
		MediaType   string            `json:"mediaType"`
		Digest      digest.Digest     `json:"digest"`
		Size        int64             `json:"size"`
		Annotations map[string]string `json:"annotations,omitempty"`
		Platform    *platformJSON     `json:"platform,omitempty"`
	}
	platformJSON struct {
		Architecture string `json:"architecture"`
		OS           string `json:"os"`
		Variant      string `json:"variant,omitempty"`
	}
	manifestJSON struct {
		SchemaVersion int               `json:"schemaVersion"`
		MediaType     string            `json:"mediaType"`
		Config        descriptorJSON    `json:"config"`
		Layers        []descriptorJSON  `json:"layers"`
		Annotations   map[string]string `json:"annotations,omitempty"`
	}
	indexJSON struct {
		SchemaVersion int               `json:"schemaVersion"`
		MediaType     string            `json:"mediaType"`
		Manifests     []descriptorJSON  `json:"manifests"`
		Annotations   map[string]string `json:"annotations,omitempty"`
	}
	configJSON struct {
		Architecture string        `json:"architecture"`
		OS           string        `json:"os"`
		Variant      string        `json:"variant,omitempty"`
		Created      string        `json:"created,omitempty"`
		Config       runJSON       `json:"config"`
		RootFS       rootfsJSON    `json:"rootfs"`
		History      []historyJSON `json:"history"`
	}
	runJSON struct {
		User         string              `json:",omitempty"`
		ExposedPorts map[string]struct{} `json:",omitempty"`
		Env          []string            `json:",omitempty"`
		Entrypoint   []string            `json:",omitempty"`
		Cmd          []string            `json:",omitempty"`
		Volumes      map[string]struct{} `json:",omitempty"`
		WorkingDir   string              `json:",omitempty"`
		Labels       map[string]string   `json:",omitempty"`
		StopSignal   string              `json:",omitempty"`
		Healthcheck  *healthJSON         `json:",omitempty"`
	}
	healthJSON struct {
		Test        []string
		Interval    time.Duration `json:",omitempty"`
		Timeout     time.Duration `json:",omitempty"`
		StartPeriod time.Duration `json:",omitempty"`
		Retries     int           `json:",omitempty"`
	}
	rootfsJSON struct {
		Type    string          `json:"type"`
		DiffIDs []digest.Digest `json:"diff_ids"`
	}
	historyJSON struct {
		Created    string `json:"created,omitempty"`
		CreatedBy  string `json:"created_by,omitempty"`
		Comment    string `json:"comment,omitempty"`
		EmptyLayer bool   `json:"empty_layer,omitempty"`
	}
)

// document writes the configuration and the manifest of an image.
func document(spec Spec, layers []ImageLayer, packed []Blob) (Image, error) {
	created := spec.Created.UTC().Truncate(time.Second).Format(time.RFC3339)
	notes := map[string]string{AnnotationCreated: created}
	maps.Copy(notes, spec.Annotations)
	notes[AnnotationCreated] = created

	config := spec.config(created)
	if spec.Format == Docker {
		labels := maps.Clone(notes)
		maps.Copy(labels, spec.Labels)
		config.Config.Labels, notes = labels, nil
	}
	media, err := spec.Codec.MediaType(spec.Format)
	if err != nil {
		return Image{}, err
	}
	var list []descriptorJSON
	for i, b := range packed {
		list = append(list, descriptorJSON{MediaType: media, Digest: b.Digest, Size: b.Size})
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, b.DiffID)
		config.History = append(config.History, historyJSON{
			Created: created, CreatedBy: layers[i].CreatedBy, Comment: layers[i].Name,
		})
	}
	rawConfig, err := canonical(config)
	if err != nil {
		return Image{}, err
	}
	types := map[Format][2]string{OCI: {ociManifest, ociConfig}, Docker: {dockerManifest, dockerConfig}}[spec.Format]
	raw, err := canonical(manifestJSON{
		SchemaVersion: 2,
		MediaType:     types[0],
		Config:        descriptorJSON{MediaType: types[1], Digest: digest.FromBytes(rawConfig), Size: int64(len(rawConfig))},
		Layers:        list,
		Annotations:   notes,
	})
	if err != nil {
		return Image{}, err
	}
	return Image{
		Platform: spec.Platform, Format: spec.Format, Codec: spec.Codec,
		Manifest: raw, MediaType: types[0], Digest: digest.FromBytes(raw),
		Config: rawConfig, Layers: packed,
	}, nil
}

func (s Spec) config(created string) configJSON {
	p := wirePlatform(s.Platform)
	run := runJSON{
		User: s.User, Env: s.Env, Entrypoint: s.Entrypoint, Cmd: s.Cmd, WorkingDir: s.WorkingDir,
		Labels: s.Labels, StopSignal: s.StopSignal, Volumes: set(s.Volumes),
	}
	var ports []string
	for _, p := range s.ExposedPorts {
		if canonical, err := port(p); err == nil { // check has seen them
			ports = append(ports, canonical)
		}
	}
	run.ExposedPorts = set(ports)
	if h := s.Health; h != nil {
		run.Healthcheck = &healthJSON{
			Test:     append([]string{"CMD"}, h.Test...),
			Interval: h.Interval, Timeout: h.Timeout, StartPeriod: h.StartPeriod, Retries: h.Retries,
		}
	}
	return configJSON{
		Architecture: p.Architecture, OS: p.OS, Variant: p.Variant, Created: created,
		Config: run, RootFS: rootfsJSON{Type: "layers"},
	}
}

func set(keys []string) map[string]struct{} {
	if len(keys) == 0 {
		return nil
	}
	out := make(map[string]struct{}, len(keys))
	for _, k := range keys {
		out[k] = struct{}{}
	}
	return out
}

// wirePlatform spells a platform as runtimes match it: arm64 is always v8.
func wirePlatform(p env.Platform) platformJSON {
	out := platformJSON{Architecture: p.Arch(), OS: "linux"}
	if p == env.LinuxARM64 {
		out.Variant = "v8"
	}
	return out
}

func (m Image) descriptor() descriptorJSON {
	p := wirePlatform(m.Platform)
	return descriptorJSON{MediaType: m.MediaType, Digest: m.Digest, Size: int64(len(m.Manifest)), Platform: &p}
}
