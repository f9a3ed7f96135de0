package configure

import (
	"fmt"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// fixedVars replaces the variables whose values come from this machine or from
// chance, so that a script means the same everywhere.
var fixedVars = map[string]string{
	"$":             "RETORT_PID",
	"PPID":          "RETORT_PPID",
	"BASHPID":       "RETORT_PID",
	"RANDOM":        "RETORT_RANDOM",
	"SRANDOM":       "RETORT_RANDOM",
	"SECONDS":       "RETORT_SECONDS",
	"EPOCHSECONDS":  "RETORT_SECONDS",
	"EPOCHREALTIME": "RETORT_SECONDS",
}

// parseScript reads shell text and refuses what the interpreter would do
// outside the virtual tree.
func parseScript(text, name string) (*syntax.File, error) {
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(text), name)
	if err != nil {
		return nil, err
	}
	var bad error
	syntax.Walk(file, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.ProcSubst: // would make a FIFO in the host's /tmp
			bad = fmt.Errorf("%s: process substitution", n.Pos())
		case *syntax.CoprocClause:
			bad = fmt.Errorf("%s: coprocess", n.Pos())
		case *syntax.Stmt:
			if n.Background { // could outlive the script and race with it
				bad = fmt.Errorf("%s: background command", n.Pos())
			}
		case *syntax.ParamExp:
			if n.Param != nil {
				if fixed, ok := fixedVars[n.Param.Value]; ok {
					n.Param.Value, n.Short = fixed, false
				}
			}
		case *syntax.Word:
			unquoteTilde(n)
		}
		return bad == nil
	})
	relaxErrexit(file)
	return file, bad
}

// unquoteTilde keeps ~user from being looked up in the host's user database;
// ~ and ~/ are root's home.
func unquoteTilde(w *syntax.Word) {
	if len(w.Parts) == 0 {
		return
	}
	lit, ok := w.Parts[0].(*syntax.Lit)
	if !ok || !strings.HasPrefix(lit.Value, "~") || lit.Value == "~" || strings.HasPrefix(lit.Value, "~/") {
		return
	}
	lit.Value = `\` + lit.Value
}
