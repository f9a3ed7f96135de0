// Package builder realises plans: it fetches what the lock pins, unpacks it,
// runs recipes in an Engine and puts every result into the store under its key.
//
// It stands between layers (plan, keys, store: no effects but the store's) and
// the commands. Two rules hold. Fetching and running never share a sandbox: a
// recipe's inputs are in the store, verified, before its process starts. And
// what a process left is packed only when every process of it is dead.
//
//	b := &builder.Builder{Store: store, Engine: engine, Fetcher: fetcher, Jobs: 2}
//	done, err := b.Realise(ctx, plan)
//	release := done["release"]
package builder
