package registry

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"sort"
	"strings"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"

	"github.com/retort-build/retort/internal/tarball"
)

// ShellError says why a release cannot start without a shell.
type ShellError struct {
	Release string
	File    string // of the release
	Reason  string
}

func (e *ShellError) Error() string {
	return fmt.Sprintf("release %s needs a shell to start: %s: %s", e.Release, e.File, e.Reason)
}

// release is what the start scripts of a mix release find out each time.
type release struct {
	name string
	vsn  string
	erts string // version
}

// maxScript bounds the small text files of a release.
const maxScript = 1 << 20

// readRelease finds name, versions and settings of a release tree.
func readRelease(t Tree, name string) (release, error) {
	r := release{name: name}
	data, err := readFile(t, "releases/start_erl.data", maxScript)
	if err != nil {
		return release{}, fmt.Errorf("read release: %w", err)
	}
	fields := strings.Fields(string(data))
	if len(fields) != 2 || !plainName(fields[0]) || !plainName(fields[1]) {
		return release{}, fmt.Errorf("read release: releases/start_erl.data holds %q", data)
	}
	r.erts, r.vsn = fields[0], fields[1]
	if r.name == "" {
		if r.name, err = onlyName(t, r.vsn); err != nil {
			return release{}, fmt.Errorf("read release: %w", err)
		}
	}
	have := make(map[string]bool)
	for _, e := range t.Entries() {
		have[e.Path] = true
	}
	for _, p := range []string{
		"erts-" + r.erts + "/bin/erlexec", "erts-" + r.erts + "/bin/beam.smp",
		r.dir("start.boot"), r.dir("start_clean.boot"), r.dir("sys.config"), r.dir("vm.args"), r.dir(r.name + ".rel"),
	} {
		if !have[p] && strings.HasPrefix(p, "erts-") {
			return release{}, fmt.Errorf("read release %s: no file %s: the release must bring its runtime system: set include_erts: true for it in mix.exs", r.name, p)
		}
		if !have[p] {
			return release{}, fmt.Errorf("read release %s: no file %s", r.name, p)
		}
	}
	return r, nil
}

func (r release) dir(file string) string { return path.Join("releases", r.vsn, file) }

// onlyName is the name of the one .rel file of a version.
func onlyName(t Tree, vsn string) (string, error) {
	var names []string
	for _, e := range t.Entries() {
		if dir, file := path.Split(e.Path); dir == "releases/"+vsn+"/" {
			if name, ok := strings.CutSuffix(file, ".rel"); ok {
				names = append(names, name)
			}
		}
	}
	if len(names) != 1 {
		return "", fmt.Errorf("releases/%s has %d .rel files, want one or the release's name", vsn, len(names))
	}
	return names[0], nil
}

func plainName(s string) bool {
	return s != "" && s != "." && s != ".." && !strings.ContainsAny(s, "/\x00")
}

// settings computes the environment that the start script would export, and
// fails with *ShellError where only a shell can.
func (r release) settings(t Tree, root string, distribution, node string) (map[string]string, error) {
	vars := userSettings()
	vars["RELEASE_ROOT"], vars["RELEASE_NAME"], vars["RELEASE_VSN"] = root, r.name, r.vsn
	vars["RELEASE_COMMAND"], vars["RELEASE_PROG"] = "start", r.name
	if distribution != "" {
		vars["RELEASE_DISTRIBUTION"] = distribution
	}
	if node != "" {
		vars["RELEASE_NODE"] = node
	}
	if err := r.envScript(t, vars); err != nil {
		return nil, err
	}
	dir := path.Join(root, "releases", r.vsn)
	for key, value := range map[string]string{
		"RELEASE_MODE":              "embedded",
		"RELEASE_NODE":              r.name,
		"RELEASE_TMP":               "/tmp",
		"RELEASE_VM_ARGS":           dir + "/vm.args",
		"RELEASE_REMOTE_VM_ARGS":    dir + "/remote.vm.args",
		"RELEASE_DISTRIBUTION":      "none",
		"RELEASE_BOOT_SCRIPT":       "start",
		"RELEASE_BOOT_SCRIPT_CLEAN": "start_clean",
		"RELEASE_SYS_CONFIG":        dir + "/sys",
	} {
		if vars[key] == "" {
			vars[key] = value
		}
	}
	switch vars["RELEASE_DISTRIBUTION"] {
	case "none", "name", "sname":
	default:
		return nil, fmt.Errorf("release %s: RELEASE_DISTRIBUTION is %q, want none, name or sname", r.name, vars["RELEASE_DISTRIBUTION"])
	}
	return vars, r.runtimeConfig(t)
}

// runtimeConfig refuses a release that rewrites its sys.config when it starts:
// the copy would have to be made first, afresh at each start.
func (r release) runtimeConfig(t Tree) error {
	file := r.dir("sys.config")
	data, err := readFile(t, file, 64<<20)
	if err != nil {
		return fmt.Errorf("read release: %w", err)
	}
	if strings.Contains(string(data), "RUNTIME_CONFIG=true") {
		return &ShellError{r.name, file, "reboot_system_after_config is set, for which the start script copies the file"}
	}
	return nil
}

// envScript does what env.sh does, if that is no more than assignments.
func (r release) envScript(t Tree, vars map[string]string) error {
	file := r.dir("env.sh")
	data, err := readFile(t, file, maxScript)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read release: %w", err)
	}
	script, err := syntax.NewParser(syntax.Variant(syntax.LangPOSIX)).Parse(strings.NewReader(string(data)), file)
	if err != nil {
		return &ShellError{r.name, file, err.Error()}
	}
	for _, stmt := range script.Stmts {
		if reason := assign(stmt, vars); reason != "" {
			return &ShellError{r.name, file, fmt.Sprintf("line %d: %s", stmt.Pos().Line(), reason)}
		}
	}
	return nil
}

// assign runs one statement which only sets variables, or says what else it is.
func assign(stmt *syntax.Stmt, vars map[string]string) (reason string) {
	const other = "is more than an assignment"
	if stmt.Background || stmt.Negated || len(stmt.Redirs) > 0 {
		return other
	}
	call, ok := stmt.Cmd.(*syntax.CallExpr)
	if !ok {
		return other
	}
	config := &expand.Config{Env: expand.FuncEnviron(func(name string) string { return vars[name] }), NoUnset: true}
	for _, a := range call.Assigns {
		if a.Append || a.Naked || a.Index != nil || a.Array != nil {
			return other
		}
		value := ""
		if a.Value != nil {
			if reason := runtimeValue(a.Value, a.Name.Value, vars); reason != "" {
				return reason
			}
			var err error
			if value, err = expand.Literal(config, a.Value); err != nil {
				return err.Error()
			}
		}
		vars[a.Name.Value] = value
	}
	if len(call.Args) == 0 {
		return ""
	}
	if call.Args[0].Lit() != "export" || len(call.Assigns) > 0 {
		return other
	}
	for _, arg := range call.Args[1:] {
		name, _, _ := strings.Cut(leading(arg), "=")
		if reason := runtimeValue(arg, name, vars); reason != "" {
			return reason
		}
		text, err := expand.Literal(config, arg)
		if err != nil {
			return err.Error()
		}
		if name, value, ok := strings.Cut(text, "="); ok && syntax.ValidName(name) {
			vars[name] = value
		} else if !syntax.ValidName(text) {
			return other
		}
	}
	return ""
}

// leading is the literal text that a word begins with.
func leading(w *syntax.Word) string {
	if len(w.Parts) > 0 {
		if lit, ok := w.Parts[0].(*syntax.Lit); ok {
			return lit.Value
		}
	}
	return ""
}

// runtimeValue says which variable of a word is only known when the release
// starts. X=${X:-default} is no such case, as the image's environment has the
// same effect, unless the value becomes an argument.
func runtimeValue(w *syntax.Word, self string, vars map[string]string) (reason string) {
	syntax.Walk(w, func(node syntax.Node) bool {
		p, ok := node.(*syntax.ParamExp)
		if !ok {
			return reason == ""
		}
		name := ""
		if p.Param != nil {
			name = p.Param.Value
		}
		known := vars[name] != "" || name == self && !strings.HasPrefix(name, "RELEASE_") && name != "ELIXIR_ERL_OPTIONS"
		if !known && reason == "" {
			reason = "$" + name + " is only known at run time"
		}
		return reason == ""
	})
	return reason
}

// argv is the command that "bin/NAME start" of the release ends up as, through
// releases/VSN/elixir and erts/bin/erl. The cookie is not among the arguments.
func (r release) argv(root string, vars map[string]string) []string {
	argv := append([]string{r.erlexec(root), "-noshell"}, strings.Fields(vars["ELIXIR_ERL_OPTIONS"])...)
	argv = append(argv, "-s", "elixir", "start_cli", "-mode", vars["RELEASE_MODE"])
	if d := vars["RELEASE_DISTRIBUTION"]; d != "none" {
		argv = append(argv, "-"+d, vars["RELEASE_NODE"])
	}
	return append(argv,
		"-config", vars["RELEASE_SYS_CONFIG"],
		"-boot", path.Join(root, "releases", r.vsn, vars["RELEASE_BOOT_SCRIPT"]),
		"-boot_var", "RELEASE_LIB", root+"/lib",
		"-args_file", vars["RELEASE_VM_ARGS"],
		"-extra", "--no-halt")
}

// eval is what "bin/NAME eval" ends up as, but for the expression.
func (r release) eval(root string, vars map[string]string) []string {
	argv := append([]string{r.erlexec(root), "-noshell"}, strings.Fields(vars["ELIXIR_ERL_OPTIONS"])...)
	return append(argv,
		"-s", "elixir", "start_cli",
		"-config", vars["RELEASE_SYS_CONFIG"],
		"-boot", path.Join(root, "releases", r.vsn, vars["RELEASE_BOOT_SCRIPT_CLEAN"]),
		"-boot_var", "RELEASE_LIB", root+"/lib",
		"-args_file", vars["RELEASE_VM_ARGS"],
		"-extra", "--eval")
}

func (r release) erlexec(root string) string { return root + "/erts-" + r.erts + "/bin/erlexec" }

// vm adds what erts/bin/erl exports.
func (r release) vm(root string, vars map[string]string) {
	vars["ROOTDIR"] = root
	vars["BINDIR"] = root + "/erts-" + r.erts + "/bin"
	vars["EMU"] = "beam"
	vars["PROGNAME"] = "erl"
}

func environment(vars map[string]string) []string {
	var out []string
	for key, value := range vars {
		out = append(out, key+"="+value)
	}
	sort.Strings(out)
	return out
}

// clean is the release as an image holds it: owned by root, modes by the
// executable bit, without the cookie, Windows scripts and build tools. epmd
// goes where no distribution is started that would start it, and headers where
// the release has no Mix that would compile something while it runs.
func (r release) clean(t Tree, keepEpmd bool) (Tree, error) {
	bin := "erts-" + r.erts + "/bin/"
	compiles := slices.ContainsFunc(t.Entries(), func(e tarball.Entry) bool { return strings.HasPrefix(e.Path, "lib/mix-") })
	return Edit(t, func(e tarball.Entry) (tarball.Entry, bool) {
		if tool, ok := strings.CutPrefix(e.Path, bin); ok && (buildTools[tool] || path.Ext(tool) == ".src" || tool == "epmd" && !keepEpmd) {
			return e, false
		}
		if parts := strings.SplitN(e.Path, "/", 4); !compiles && len(parts) > 2 && parts[0] == "lib" && parts[2] == "include" {
			return e, false
		}
		if e.Path == "releases/COOKIE" || e.Kind != tarball.Dir && path.Ext(e.Path) == ".bat" {
			return e, false
		}
		for _, dir := range []string{"doc", "include", "lib", "man", "src"} {
			if strings.HasPrefix(e.Path+"/", "erts-"+r.erts+"/"+dir+"/") {
				return e, false
			}
		}
		e.UID, e.GID, e.Xattrs = 0, 0, nil
		switch {
		case e.Kind == tarball.Symlink:
		case e.Kind == tarball.Dir, e.Mode&0o111 != 0:
			e.Mode = 0o755
		default:
			e.Mode = 0o644
		}
		return e, true
	})
}
