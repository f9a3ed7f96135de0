// Package registry assembles OCI images from layers, writes and reads them, and
// composes the runtime image of a BEAM release.
//
// It is the last stage of the pipeline: it takes file trees, as the store holds
// them, and returns images as values. An image is bytes: the manifest and the
// configuration in canonical JSON, and a list of blobs. Equal trees and an
// equal Spec give an equal manifest digest, always.
//
//	runtime, err := registry.Compose(registry.Runtime{Release: release, Packages: packages, ...})
//	image, err := registry.Assemble(ctx, runtime.Spec(platform, created), runtime.Layers, blobs)
//	err = registry.WriteLayout(ctx, dir, []registry.Tagged{{Image: image, Ref: "shop:1.0"}}, blobs)
//
// Invariants:
//   - Every layer is the canonical tar of a Tree with time tarball.Epoch; only
//     the configuration carries the commit's time. So a new commit changes the
//     layers whose files changed and no other.
//   - A tree is compressed once by each codec. A codec's name promises bytes;
//     golden tests hold it to that.
//   - What is read back is untrusted: digests, sizes, media types and JSON are
//     checked strictly and every count is bounded.
//   - No cookie of a release enters an image.
package registry
