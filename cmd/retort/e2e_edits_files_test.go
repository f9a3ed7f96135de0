package main

import (
	"maps"
	"slices"
	"strings"
)

func (e *editor) renameFile(out *edit) bool {
	name, ok := e.pick(e.isAdded)
	if !ok {
		return false
	}
	e.tree[strings.TrimSuffix(name, ".ex")+"_r.ex"] = e.tree[name]
	delete(e.tree, name)
	out.file = name
	return true
}

// makeLink puts a symbolic link in the place of a file, or the file again.
func (e *editor) makeLink(out *edit) bool {
	if e.undoLink(out) {
		return true
	}
	name, ok := e.pick(func(name string) bool { return e.isAdded(name) })
	if !ok {
		return false
	}
	target := name[strings.LastIndex(name, "/")+1:] + ".target"
	e.tree[name+".target"] = e.tree[name]
	e.tree[name] = "-> " + target
	out.file = name
	return true
}

func (e *editor) undoLink(out *edit) bool {
	for _, name := range slices.Sorted(maps.Keys(e.tree)) {
		if strings.HasPrefix(e.tree[name], "-> ") {
			out.file, e.tree[name] = name, e.tree[name+".target"]
			return true
		}
	}
	return false
}
