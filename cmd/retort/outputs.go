package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/retort-build/retort/builder"
	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/layers"
	"github.com/retort-build/retort/registry"
)

// An outputFile is one result in the output folder.
type outputFile struct {
	Path   string        `json:"path"`
	Kind   string        `json:"kind"`   // "release" or "image"
	Digest digest.Digest `json:"digest"` // of the file; for an image, of its manifest
}

// outputs writes what is not in dir yet: the release's archive and its image.
func (s *session) outputs(ctx context.Context, built builder.Built, dir string, format registry.Format, at commit) ([]outputFile, error) {
	var err error
	base := fmt.Sprintf("%s-%s-%s", built.Name, built.Version, strings.ReplaceAll(string(s.config.Platform), "/", "-"))
	if s.config.Target != "" {
		base += "-" + s.config.Target
	}
	base += s.config.Cell.Suffix()
	record := s.outputRecord(built, dir, format, at)
	if done, ok := record.load(s.settings.home); ok {
		return done, nil
	}
	archive := outputFile{Path: filepath.Join(dir, base+".tar.gz"), Kind: "release"}
	s.progress.phase("write " + filepath.Base(archive.Path))
	var image registry.Image
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		archive.Digest, err = s.writeArchive(groupCtx, archive.Path, built.Release)
		return err
	})
	group.Go(func() (err error) {
		image, err = s.image(groupCtx, built, format, at)
		return err
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	out := outputFile{Kind: "image", Digest: image.Digest}
	s.progress.phase("write image")
	if out.Path, err = s.writeImage(ctx, image, filepath.Join(dir, base), s.reference(built)); err != nil {
		return nil, err
	}
	done := []outputFile{archive, out}
	return done, record.save(s.settings.home, done)
}

// image composes and packs the runtime image of the release.
func (s *session) image(ctx context.Context, built builder.Built, format registry.Format, at commit) (registry.Image, error) {
	s.progress.phase("compose image")
	rt, err := s.runtime(ctx, built)
	if err != nil {
		return registry.Image{}, err
	}
	c, err := registry.Compose(rt)
	if err != nil {
		return registry.Image{}, err
	}
	for _, note := range c.Notes {
		s.progress.t.warn("%s", note)
	}
	spec := c.Spec(s.config.Platform, at.time)
	spec.Format, spec.Jobs = format, s.builder.Jobs
	s.customise(&spec, built, at)
	s.progress.phase("pack image")
	return registry.Assemble(ctx, spec, c.Layers, storeBlobs{s.store})
}

// runtime gathers the release and the packages its image may take files from.
func (s *session) runtime(ctx context.Context, built builder.Built) (registry.Runtime, error) {
	whole, err := s.wholePackages()
	if err != nil {
		return registry.Runtime{}, err
	}
	var unpacked []layers.Layer // of rt.Packages
	rt := registry.Runtime{
		Platform: s.config.Platform, Name: built.Name, Shell: s.config.Image.Shell,
		OTP: built.Project.OTPApps, Elixir: built.Project.ElixirApps,
	}
	for _, d := range built.Project.Deps {
		if !d.InUmbrella {
			rt.Dependencies = append(rt.Dependencies, d.App)
		}
	}
	for i := range built.Plan.Recipes {
		r := &built.Plan.Recipes[i]
		if r.Name == builder.StepOpenSSL {
			source, _ := built.Plan.Recipe(builder.SourceStep(env.ToolOpenSSL))
			rt.Packages = append(rt.Packages, registry.Package{Name: "openssl-source", Version: source.Archive.Version, Own: true})
			unpacked = append(unpacked, built.Layers[r.Name])
		}
		if r.Kind == layers.UnpackDeb {
			rt.Packages = append(rt.Packages, registry.Package{
				Name: r.Archive.Name, Version: r.Archive.Version, Whole: slices.Contains(whole, r.Archive.Name),
			})
			unpacked = append(unpacked, built.Layers[r.Name])
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(s.builder.Jobs)
	group.Go(func() (err error) {
		rt.Release, err = s.tree(ctx, built.Release)
		return err
	})
	for i, layer := range unpacked {
		group.Go(func() (err error) {
			rt.Packages[i].Tree, err = s.tree(ctx, layer)
			return err
		})
	}
	err = group.Wait()
	return rt, err
}

func (s *session) tree(ctx context.Context, l layers.Layer) (registry.Tree, error) {
	if known, ok := s.trees.Load(l.DiffID); ok {
		return known.(registry.Tree), nil
	}
	entries, err := s.store.Entries(ctx, l)
	if err != nil {
		return nil, err
	}
	return registry.Dir(s.store.Path(l), entries), nil
}

// readAhead reads the trees of packages while programs run: the image will want
// them. What it cannot read is read again then, and reported.
func (s *session) readAhead(ctx context.Context, have map[string]layers.Layer) {
	for step, l := range have {
		if !strings.HasPrefix(step, string(layers.UnpackDeb)+":") {
			continue
		}
		if t, err := s.tree(ctx, l); err == nil {
			s.trees.Store(l.DiffID, t)
		}
	}
}

// wholePackages are those that the image holds because they are named, not
// because an ELF file needs them. Only what the user names brings what it
// depends on: the base packages' dependencies are tools to configure them.
func (w *workspace) wholePackages() ([]string, error) {
	names := slices.Clone(w.set(env.SetImage))
	roots := slices.Clone(w.set(env.SetExtra))
	for _, nif := range w.config.NIFs {
		roots = append(roots, w.set(env.NIFRuntimeSet(nif.Dep))...)
	}
	closure, err := w.lock.Closure(w.config.Platform, roots...)
	if err != nil {
		return nil, err
	}
	for _, p := range closure {
		names = append(names, p.Name)
	}
	return names, nil
}

// customise adds what the manifest and the commit say of the image.
func (s *session) customise(spec *registry.Spec, built builder.Built, at commit) {
	c := s.config.Image
	spec.User = c.User.String()
	spec.ExposedPorts, spec.Volumes, spec.StopSignal = c.Ports, c.Volumes, c.StopSignal
	if c.Cmd != nil {
		spec.Cmd = c.Cmd
	}
	own := make(map[string]string, len(c.Env))
	for k, v := range c.Env {
		own[k] = v
	}
	spec.Env = slices.DeleteFunc(slices.Clone(spec.Env), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		_, replaced := own[name]
		return replaced
	})
	for k, v := range own {
		spec.Env = append(spec.Env, k+"="+v)
	}
	slices.Sort(spec.Env)
	spec.Annotations = map[string]string{
		registry.AnnotationTitle: built.Name, registry.AnnotationVersion: built.Version,
	}
	if at.revision != "" {
		spec.Annotations[registry.AnnotationRevision] = at.revision
	}
	spec.Labels = map[string]string{}
	for k, v := range spec.Annotations {
		spec.Labels[k] = v
	}
	for k, v := range c.Labels {
		spec.Labels[k] = v
	}
}

// reference is the name and tag that the image gets.
func (s *session) reference(built builder.Built) string {
	name := s.config.Image.Repository
	if name == "" {
		name = built.Name
	}
	// A tag has no plus sign (OCI distribution specification, "tag").
	return name + ":" + strings.ReplaceAll(built.Version, "+", "-")
}

// writeImage writes the image beside base and returns its path.
func (s *session) writeImage(ctx context.Context, image registry.Image, base, ref string) (string, error) {
	tagged := []registry.Tagged{{Ref: ref, Images: []registry.Image{image}}}
	if image.Format == registry.OCI {
		path := base + ".oci"
		return path, registry.WriteLayout(ctx, path, tagged, storeBlobs{s.store})
	}
	path := base + ".docker.tar"
	temp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return "", err
	}
	defer os.Remove(temp.Name())
	err = registry.WriteDockerArchive(ctx, temp, tagged, storeBlobs{s.store})
	if err == nil {
		err = temp.Chmod(0o644)
	}
	if cerr := temp.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return "", err
	}
	return path, os.Rename(temp.Name(), path)
}

// remember keeps what the build was made from: for gc, which spares the last
// build of a project that still exists, and for explain.
func (s *session) remember(ctx context.Context, built builder.Built) error {
	if _, err := os.Stat(s.historyFile()); err == nil && s.progress.misses() == 0 && s.config.Cell == (env.Cell{}) {
		return nil
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	steps, err := s.builder.Steps(ctx, built.Plan)
	if err != nil {
		return err
	}
	root := &layers.ProjectRoot{Path: filepath.Join(s.dir, "toolchain.lock")}
	if s.root != nil { // of all cells
		root, s.root.Path = s.root, root.Path
	}
	for _, step := range steps {
		root.Keys = append(root.Keys, step.Key)
		root.Layers = append(root.Layers, step.Layer.DiffID)
	}
	if err := s.store.AddRoot(ctx, *root); err != nil {
		return err
	}
	return s.saveHistory(steps)
}

// outputRecord describes what the outputs in dir are a function of.
func (s *session) outputRecord(built builder.Built, dir string, format registry.Format, at commit) outputRecord {
	facts, err := json.Marshal(struct {
		Format   registry.Format
		Release  digest.Digest
		Version  string
		Config   env.Config
		Created  int64
		Revision string
		Packages []env.Package
		Sources  []env.Source
		OpenSSL  digest.Digest // of the libraries, if they are compiled
		Program  string
	}{
		format, built.Release.DiffID, built.Version, s.config, at.time.Unix(), at.revision,
		s.lock.Packages, s.lock.Sources, built.Layers[builder.StepOpenSSL].DiffID, versionText(),
	})
	if err != nil {
		return outputRecord{} // cannot happen: plain data; an empty record matches nothing
	}
	return outputRecord{dir: dir, inputs: digest.FromBytes(facts)}
}
