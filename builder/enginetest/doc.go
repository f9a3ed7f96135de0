// Package enginetest is the conformance suite of builder.Engine: what an
// engine promises about the process it runs, one subtest a promise.
//
// Each promise is probed by a small program that runs as the recipe's process.
// A probe that finds nothing proves nothing if it could not have found
// something, so most subtests run it once more where the promise does not
// hold, on the host or with the property taken away, and require that it
// notices.
//
//	func TestEngine(t *testing.T) {
//		enginetest.Run(t, func(t *testing.T) builder.Engine { return sandbox.New() }, "")
//	}
//
// TestMain of a package that tests the sandbox must call sandbox.Init. Run
// must be called by a top-level test, which it starts again in processes of
// their own to see what happens when the caller is killed, or is not root.
package enginetest
