// Package fetch downloads files that are named by digest and size, from any of
// several sources that nobody trusts.
//
// Its place: env resolves what is needed and where it may lie, fetch brings
// it, the store keeps it. What holds:
//
//   - Get returns nil only after the whole body was written to the sink and had
//     the wanted digest and size; until then the sink's content means nothing.
//     Of a body whose beginning a Resumer had, it has not seen the digest.
//   - No body is read past the wanted size, or past MaxSize when that is unknown.
//   - A broken connection goes on where it stopped, on the same source or the
//     next; when the joined pieces have the wrong digest, that source is asked
//     once more for the whole.
//   - Answers of 404 and 410 everywhere are a *NotFoundError, so that a caller
//     can tell "gone" from "out of reach"; any other failure is an *Error. Both
//     list each source with its reason.
//   - Everything ends when the context does, sleeping included.
//
// A download into memory:
//
//	var buf fetch.Buffer
//	_, err := client.Get(ctx, fetch.Request{
//		URLs:   mirrors.Candidates(pkg, lock.Suites),
//		Digest: pkg.Digest,
//		Size:   pkg.Size,
//	}, &buf)
package fetch
