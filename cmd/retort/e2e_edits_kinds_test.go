package main

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// How a step may be compiled.
type compileMode int

const (
	either  compileMode = iota
	partly              // incrementally
	cleanly             // from nothing
	broken              // not at all
)

// An edit is what was done to a tree.
type edit struct {
	name, file string
	mode       compileMode
}

func (e edit) String() string { return e.name + " " + e.file }

// kinds are all edits, each as often as its weight. One returns false if the
// tree has no place for it.
var kinds = []struct {
	weight int
	name   string
	do     func(e *editor, out *edit) bool
}{
	{40, "change a number", (*editor).changeNumber},
	{6, "shift lines", (*editor).shiftLines},
	{8, "add a function", (*editor).addFunction},
	{4, "remove a function", (*editor).removeFunction},
	{6, "add a module", (*editor).addModule},
	{4, "remove a module", (*editor).removeModule},
	{3, "rename a file", (*editor).renameFile},
	{3, "rename a module", (*editor).renameModule},
	{3, "move a module", (*editor).moveModule},
	{3, "add an implementation", (*editor).addImpl},
	{3, "change a struct", (*editor).changeStruct},
	{3, "turn a file on or off", (*editor).toggleFile},
	{2, "change the configuration", (*editor).changeConfig},
	{1, "change mix.exs", (*editor).changeMix},
	{4, "go back", (*editor).goBack},
	{2, "make an error", (*editor).makeError},
	{2, "make a link", (*editor).makeLink},
	{2, "change nothing", (*editor).changeNothing},
}

func (e *editor) edit() edit {
	// An error is mended by going back, but not always at once.
	if e.tree.broken() && e.random.IntN(3) > 0 {
		for _, before := range slices.Backward(e.last) {
			if !before.broken() {
				e.tree = maps.Clone(before)
				return edit{name: "mend"}
			}
		}
	}
	// So is a link, with which everything is compiled from nothing.
	if out := (edit{name: "undo a link"}); e.random.IntN(3) > 0 && e.undoLink(&out) {
		return out
	}
	total := 0
	for _, k := range kinds {
		total += k.weight
	}
	for {
		at := e.random.IntN(total)
		for _, k := range kinds {
			if at -= k.weight; at >= 0 {
				continue
			}
			out := edit{name: k.name}
			if k.do(e, &out) {
				if e.tree.broken() {
					out.mode = broken
				}
				return out
			}
			break
		}
	}
}

const mistake = "\n  def mistake, do: undefined_variable\nend\n"

func (t tree) broken() bool {
	for _, text := range t {
		if strings.Contains(text, "undefined_variable") {
			return true
		}
	}
	return false
}

// pick chooses one of the files that a function wants.
func (e *editor) pick(want func(name string) bool) (string, bool) {
	var names []string
	for name, text := range e.tree {
		if want(name) && !strings.HasPrefix(text, "-> ") {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "", false
	}
	slices.Sort(names)
	return names[e.random.IntN(len(names))], true
}

func module(name string) bool { return strings.HasSuffix(name, ".ex") }

func (e *editor) number() string { return fmt.Sprint(1000 + e.random.IntN(9000)) }

var fourDigits = regexp.MustCompile(`\b[1-9][0-9]{3}\b`)

// unseen are files that are read in secret: Mix would not notice.
var unseen = regexp.MustCompile(`secret\.txt$|read_by_\w+\.ex$|^static/`)

func (e *editor) changeNumber(out *edit) bool {
	name, ok := e.pick(func(name string) bool {
		return !strings.HasPrefix(name, "toolchain") && !strings.HasPrefix(name, "config/") && fourDigits.MatchString(e.tree[name]) && !strings.Contains(name, "earmark")
	})
	if !ok {
		return false
	}
	text := e.tree[name]
	all := fourDigits.FindAllStringIndex(text, -1)
	at := all[e.random.IntN(len(all))]
	e.tree[name] = text[:at[0]] + e.number() + text[at[1]:]
	out.file, out.mode = name, partly
	switch {
	case unseen.MatchString(name):
		out.mode = cleanly
	case name == "mix.exs" || strings.HasPrefix(name, "priv/list") || strings.HasSuffix(name, ".hrl"):
		out.mode = either
	}
	return true
}

func (e *editor) shiftLines(out *edit) bool {
	name, ok := e.pick(func(name string) bool { return module(name) && !unseen.MatchString(name) })
	e.tree[name] = "# " + e.number() + "\n" + e.tree[name]
	out.file, out.mode = name, partly
	return ok
}

// lastEnd is where the end of the last module of a file is.
func lastEnd(text string) int { return strings.LastIndex(text, "\nend") }

func (e *editor) addFunction(out *edit) bool {
	name, ok := e.pick(func(name string) bool {
		return module(name) && strings.HasPrefix(e.tree[name], "defmodule") && !unseen.MatchString(name)
	})
	if !ok {
		return false
	}
	text := e.tree[name]
	at := lastEnd(text)
	e.tree[name] = text[:at] + fmt.Sprintf("\n  def edit_%s(x), do: {x, %s, fn y -> y + %s end}", e.number(), e.number(), e.number()) + text[at:]
	out.file, out.mode = name, partly
	return true
}

var added = regexp.MustCompile(`\n  def edit_.*`)

func (e *editor) removeFunction(out *edit) bool {
	name, ok := e.pick(func(name string) bool { return added.MatchString(e.tree[name]) && !unseen.MatchString(name) })
	if !ok {
		return false
	}
	at := added.FindStringIndex(e.tree[name])
	e.tree[name] = e.tree[name][:at[0]] + e.tree[name][at[1]:]
	out.file, out.mode = name, partly
	return true
}

// home is where modules are added, and the prefix of their names.
func (e *editor) home() (dir, prefix string) {
	if _, ok := e.tree["apps/web/mix.exs"]; ok {
		return "apps/web/lib/added", "Web.Added"
	}
	return "lib/added", "Edits.Added"
}

func (e *editor) uses() string {
	if dir, _ := e.home(); strings.HasPrefix(dir, "apps") {
		return []string{"use Core", "@v Core.Types.zero()", "def a, do: %Core{}", "require Web"}[e.random.IntN(4)]
	}
	return []string{
		"use Edits.Macros.Mid", "use Edits.Macros.Base, number: 1", "@behaviour Edits.Types", "@v Edits.Chain.B.value()\n  def w, do: @v",
		"def s, do: %Edits.Shape{name: 1}", "@derive Edits.Describe\n  defstruct [:a]", "require Coins\n  def c, do: Coins.cents(2)",
		`use Edits.Order, {[:zulu, :bravo, :alpha], "_` + e.number() + `"}`, "def k, do: fn x -> Edits.Describe.text(x) end",
	}[e.random.IntN(9)]
}

func (e *editor) isAdded(name string) bool {
	dir, _ := e.home()
	return module(name) && strings.HasPrefix(name, dir)
}

func (e *editor) addModule(out *edit) bool {
	dir, prefix := e.home()
	n := e.number()
	out.file = dir + "/m" + n + ".ex"
	if _, there := e.tree[out.file]; there {
		return false
	}
	e.tree[out.file] = fmt.Sprintf("defmodule %s.M%s do\n  %s\n  def value, do: %s\nend\n", prefix, n, e.uses(), e.number())
	return true
}

func (e *editor) removeModule(out *edit) bool {
	name, ok := e.pick(e.isAdded)
	delete(e.tree, name)
	out.file = name
	return ok
}

var moduleName = regexp.MustCompile(`\.M[0-9]+\b`)

func (e *editor) renameModule(out *edit) bool {
	name, ok := e.pick(func(name string) bool { return e.isAdded(name) && moduleName.MatchString(e.tree[name]) })
	if !ok {
		return false
	}
	e.tree[name] = moduleName.ReplaceAllString(e.tree[name], ".M"+e.number())
	out.file = name
	return true
}

// moveModule appends a module's file to another.
func (e *editor) moveModule(out *edit) bool {
	from, ok := e.pick(e.isAdded)
	to, other := e.pick(func(name string) bool { return e.isAdded(name) && name != from })
	if !ok || !other {
		return false
	}
	e.tree[to] += e.tree[from]
	delete(e.tree, from)
	out.file = from + " to " + to
	return true
}

// addImpl adds, changes or removes an implementation of a protocol.
func (e *editor) addImpl(out *edit) bool {
	dir, _ := e.home()
	protocol, function := "Edits.Describe", "text"
	if strings.HasPrefix(dir, "apps") {
		protocol, function = "Core.Show", "show"
	}
	of := []string{"Atom", "Float", "List", "Tuple", "Map", "URI"}[e.random.IntN(6)]
	out.file = dir + "/impl_" + strings.ToLower(of) + ".ex"
	if _, there := e.tree[out.file]; there && e.random.IntN(2) == 0 {
		delete(e.tree, out.file)
		return true
	}
	head := fmt.Sprintf("defimpl %s, for: %s do\n", protocol, of)
	for name, text := range e.tree {
		if name != out.file && strings.Contains(text, head) { // a file was renamed
			return false
		}
	}
	e.tree[out.file] = head + fmt.Sprintf("  def %s(_value), do: %s\nend\n", function, e.number())
	return true
}

var extraField = regexp.MustCompile(`, extra: [0-9]+`)

func (e *editor) changeStruct(out *edit) bool {
	name, ok := e.pick(func(name string) bool {
		return module(name) && strings.Contains(e.tree[name], "defstruct ") && !strings.Contains(name, "earmark") && !e.isAdded(name)
	})
	if !ok {
		return false
	}
	text := e.tree[name]
	if extraField.MatchString(text) {
		e.tree[name] = extraField.ReplaceAllString(text, "")
	} else {
		at := strings.Index(text, "defstruct ")
		end := at + strings.IndexByte(text[at:], '\n')
		e.tree[name] = text[:end] + ", extra: " + e.number() + text[end:]
	}
	out.file, out.mode = name, partly
	return true
}

// toggled are files that come and go, with what they hold: declared resources,
// what Path.wildcard or File.exists? sees, a module that another asks for, an
// empty priv, Erlang modules.
var toggled = map[string]string{
	"priv/data.txt":             "data NUMBER\n",
	"lib/own/absent.txt":        "not absent NUMBER\n",
	"priv/list/b.txt":           "NUMBER\n",
	"priv/flag":                 "NUMBER\n",
	"lib/added/optional.ex":     "defmodule Edits.Added.Optional do\n  def value, do: NUMBER\nend\n",
	"lib/added/chars.ex":        "defimpl Edits.Describe, for: List do\n  def text(_list), do: \"list NUMBER\"\nend\n",
	"src/more_erl.erl":          "-module(more_erl).\n-export([value/0]).\nvalue() -> NUMBER.\n",
	"parts/coins/priv/coin.txt": "NUMBER\n",
	"parts/coins/lib/more.ex":   "defmodule Coins.More do\n  def value, do: NUMBER\nend\n",
	"include/more.hrl":          "-define(MORE, NUMBER).\n",
	"apps/core/priv/core.txt":   "NUMBER\n",
	"apps/core/lib/more.ex":     "defmodule Core.More do\n  use Core\n  def value, do: NUMBER\nend\n",
	"README.md":                 "NUMBER\n",
	"static/b/d.txt":            "NUMBER\n",
}

func (e *editor) toggleFile(out *edit) bool {
	_, umbrella := e.tree["apps/web/mix.exs"]
	var names []string
	for name := range toggled {
		inner := strings.HasPrefix(name, "apps/") || strings.HasPrefix(name, "parts/") || name == "README.md"
		if umbrella == inner || inner && !strings.HasPrefix(name, "apps/") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	out.file = names[e.random.IntN(len(names))]
	if out.file == "lib/added/chars.ex" && e.tree["lib/added/impl_list.ex"] != "" {
		return false // one protocol implemented twice has no one result
	}
	if _, there := e.tree[out.file]; there {
		delete(e.tree, out.file)
	} else {
		e.tree[out.file] = strings.ReplaceAll(toggled[out.file], "NUMBER", e.number())
	}
	return true
}

func (e *editor) changeConfig(out *edit) bool {
	out.file, out.mode = "config/config.exs", cleanly
	e.tree[out.file] = fourDigits.ReplaceAllString(e.tree[out.file], e.number())
	return true
}

var mixVersion = regexp.MustCompile(`version: "[0-9.]+"`)

func (e *editor) changeMix(out *edit) bool {
	out.mode = cleanly
	name, ok := e.pick(func(name string) bool { return strings.HasSuffix(name, "mix.exs") })
	e.tree[name] = mixVersion.ReplaceAllString(e.tree[name], `version: "0.`+e.number()+`.0"`)
	out.file = name
	return ok
}

// goBack is a checkout of an earlier commit.
func (e *editor) goBack(out *edit) bool {
	n := min(len(e.last), 10)
	if n < 2 {
		return false
	}
	e.tree = maps.Clone(e.last[len(e.last)-1-e.random.IntN(n)])
	return true
}

func (e *editor) makeError(out *edit) bool {
	if e.tree.broken() {
		return false
	}
	name, ok := e.pick(func(name string) bool { return module(name) && strings.HasPrefix(e.tree[name], "defmodule") })
	if ok {
		e.tree[name] = e.tree[name][:lastEnd(e.tree[name])] + mistake
	}
	out.file = name
	return ok
}

func (e *editor) changeNothing(*edit) bool { return true }
