package main

import (
	"context"
	"flag"

	"github.com/retort-build/retort/registry"
)

func cmdImage(fs *flag.FlagSet) action {
	asJSON := fs.Bool("json", false, "print the breakdown as JSON")
	return func(ctx context.Context, t *terminal, args []string) error {
		if len(args) == 0 || args[0] != "inspect" {
			return usagef("image wants: retort image inspect PATH")
		}
		if err := fs.Parse(args[1:]); err != nil {
			return usagef("image: %v", err)
		}
		if fs.NArg() != 1 {
			return usagef("image inspect wants one image layout folder or docker archive")
		}
		images, err := registry.Inspect(ctx, fs.Arg(0))
		if err != nil {
			return err
		}
		if *asJSON {
			return images.WriteJSON(t.out)
		}
		return images.WriteText(t.out)
	}
}
