package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
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
	Path     string        `json:"path"`
	Kind     string        `json:"kind"`               // "release" or "image"
	Platform string        `json:"platform,omitempty"` // of a release; of an image, unless it is for several
	Digest   digest.Digest `json:"digest"`             // of the file; for an image, of its manifest or index
}

// fileName is what the names of a build's outputs begin with.
func (f *finished) fileName(p env.Platform) string {
	name := f.Name + "-" + f.Version
	if p != "" {
		name += "-" + strings.ReplaceAll(string(p), "/", "-")
	}
	if f.config.Target != "" {
		name += "-" + f.config.Target
	}
	return name + f.config.Cell.Suffix()
}

// writeOutputs writes what the output folder does not have yet: the archive of
// each release, and their images, as one image for all platforms if the format
// has such.
func writeOutputs(ctx context.Context, all []*finished, format registry.Format) ([]outputFile, error) {
	first := all[0]
	var inputs []string
	for _, f := range all {
		if ref := f.reference(f.Built); f.Name != first.Name || ref != first.reference(first.Built) {
			return nil, fmt.Errorf("platforms make different releases, %s as %s and %s as %s, which are no single image: build them one by one with --platform",
				first.Name, first.reference(first.Built), f.Name, ref)
		}
		inputs = append(inputs, f.outputInputs(format).String())
	}
	if err := os.MkdirAll(first.dir, 0o755); err != nil {
		return nil, err
	}
	record := outputRecord{dir: first.dir, inputs: digest.FromString(strings.Join(inputs, "\n"))}
	if done, ok := record.load(first.settings.home); ok {
		return done, nil
	}
	done, images := make([]outputFile, len(all)), make([]registry.Image, len(all))
	group, groupCtx := errgroup.WithContext(ctx)
	for i, f := range all {
		group.Go(func() (err error) {
			done[i], images[i], err = f.pack(groupCtx, format)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	written, err := first.writeImages(ctx, images)
	if err != nil {
		return nil, err
	}
	done = append(done, written...)
	return done, record.save(first.settings.home, done)
}

// pack writes the release's archive, and makes its image.
func (f *finished) pack(ctx context.Context, format registry.Format) (archive outputFile, image registry.Image, err error) {
	p := f.config.Platform
	archive = outputFile{Path: filepath.Join(f.dir, f.fileName(p)+".tar.gz"), Kind: "release", Platform: string(p)}
	f.progress.phase("write " + filepath.Base(archive.Path))
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		archive.Digest, err = f.writeArchive(groupCtx, archive.Path, f.Release)
		return err
	})
	group.Go(func() (err error) {
		image, err = f.image(groupCtx, f.Built, format, f.at)
		return err
	})
	return archive, image, group.Wait()
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
		if r.Name == s.opensslStep() {
			spec := s.config.Toolchain.OpenSSL
			pin, _ := s.lock.Source(spec.Tool, spec.Want())
			rt.Packages = append(rt.Packages, registry.Package{Name: "openssl-source", Version: pin.Version, Own: true})
			unpacked = append(unpacked, built.Layers[r.Name])
		}
		if r.Kind == layers.UnpackDeb && r.Platform == rt.Platform {
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

// writeImages writes the images of one release: in an image layout, under one
// name, or each as an archive for docker load, which has no room for several.
func (f *finished) writeImages(ctx context.Context, images []registry.Image) ([]outputFile, error) {
	f.progress.phase("write image")
	ref, blobs := f.reference(f.Built), storeBlobs{f.store}
	if images[0].Format == registry.OCI {
		tagged := registry.Tagged{Ref: ref, Images: images}
		out := outputFile{Kind: "image"}
		var err error
		if len(images) == 1 {
			out.Platform, out.Digest = string(images[0].Platform), images[0].Digest
		} else if _, _, out.Digest, err = registry.Index(images); err != nil {
			return nil, err
		}
		out.Path = filepath.Join(f.dir, f.fileName(env.Platform(out.Platform))+".oci")
		return []outputFile{out}, registry.WriteLayout(ctx, out.Path, []registry.Tagged{tagged}, blobs)
	}
	var done []outputFile
	for _, image := range images {
		out := outputFile{Kind: "image", Platform: string(image.Platform), Digest: image.Digest}
		out.Path = filepath.Join(f.dir, f.fileName(image.Platform)+".docker.tar")
		err := writeFile(out.Path, func(w io.Writer) error {
			return registry.WriteDockerArchive(ctx, w, []registry.Tagged{{Ref: ref, Images: []registry.Image{image}}}, blobs)
		})
		if err != nil {
			return nil, err
		}
		done = append(done, out)
	}
	return done, nil
}

// writeFile has a file written as a whole or not at all.
func writeFile(path string, write func(io.Writer) error) error {
	temp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	err = write(temp)
	if err == nil {
		err = temp.Chmod(0o644)
	}
	if cerr := temp.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}

// news reports whether a build has something to remember that the last one had not.
func (f *finished) news() bool {
	_, err := os.Stat(f.historyFile())
	return err != nil || f.progress.misses() > 0
}

// remember keeps what the build was made from, and adds it to root, which GC
// spares while the project is there.
func (s *session) remember(ctx context.Context, built builder.Built, root *layers.ProjectRoot) error {
	steps, err := s.builder.Steps(ctx, built.Plan)
	if err != nil {
		return err
	}
	root.Path = filepath.Join(s.dir, "toolchain.lock")
	for _, step := range steps {
		root.Keys = append(root.Keys, step.Key)
		root.Layers = append(root.Layers, step.Layer.DiffID)
	}
	if err := s.store.AddRoot(ctx, *root); err != nil {
		return err
	}
	return s.saveHistory(steps)
}

// outputInputs is a digest of all that the outputs for one platform are a
// function of.
func (f *finished) outputInputs(format registry.Format) digest.Digest {
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
		format, f.Release.DiffID, f.Version, f.config, f.at.time.Unix(), f.at.revision,
		f.lock.Packages, f.lock.Sources, f.Layers[f.opensslStep()].DiffID, versionText(),
	})
	if err != nil {
		panic(err) // plain data
	}
	return digest.FromBytes(facts)
}
