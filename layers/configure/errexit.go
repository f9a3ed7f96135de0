package configure

import "mvdan.cc/sh/v3/syntax"

// relaxErrexit makes `set -e` mean what POSIX says in one place where the
// interpreter differs: a compound command that fails only because the left side
// of its last && failed must not end the script. Where nobody asks for the
// compound's status, `a && b` at its end becomes `if a; then b; fi`.
func relaxErrexit(file *syntax.File) {
	relaxList(file.Stmts, true)
	syntax.Walk(file, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.CmdSubst:
			relaxList(n.Stmts, true)
		case *syntax.FuncDecl:
			relaxStmt(n.Body, true, false)
		}
		return true
	})
}

// relaxList treats statements of which the last one's status is used or not.
func relaxList(stmts []*syntax.Stmt, used bool) {
	for i, st := range stmts {
		last := i == len(stmts)-1
		relaxStmt(st, used && last, !used && last)
	}
}

// relaxStmt treats one statement. Tail says that its status becomes that of a
// compound command which nobody asks.
func relaxStmt(st *syntax.Stmt, used, tail bool) {
	if st == nil {
		return
	}
	used = used || st.Negated
	switch c := st.Cmd.(type) {
	case *syntax.Block:
		relaxList(c.Stmts, used)
	case *syntax.Subshell:
		relaxList(c.Stmts, true)
	case *syntax.IfClause:
		relaxIf(c, used)
	case *syntax.WhileClause:
		relaxList(c.Cond, true)
		relaxList(c.Do, used)
	case *syntax.ForClause:
		relaxList(c.Do, used)
	case *syntax.CaseClause:
		for _, item := range c.Items {
			relaxList(item.Stmts, used)
		}
	case *syntax.BinaryCmd:
		relaxStmt(c.X, true, false)
		if c.Op != syntax.AndStmt || used || !tail || st.Negated {
			relaxStmt(c.Y, true, false)
			return
		}
		relaxStmt(c.Y, false, true)
		st.Cmd = &syntax.IfClause{Cond: []*syntax.Stmt{c.X}, Then: []*syntax.Stmt{c.Y}}
	}
}

func relaxIf(c *syntax.IfClause, used bool) {
	for ; c != nil; c = c.Else {
		relaxList(c.Cond, true)
		relaxList(c.Then, used)
	}
}
