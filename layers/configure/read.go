package configure

import (
	"context"
	"errors"
	"io"
	"strings"

	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

const maxLine = 1 << 20

// read replaces the read built-in by assignments of what it would have read.
// The interpreter's own drops an empty field before a separator that is no
// space, which POSIX keeps.
func (sh *shell) read(ctx context.Context, args []string) ([]string, error) {
	raw := false
	names := args[1:]
	for len(names) > 0 && strings.HasPrefix(names[0], "-") {
		if names[0] != "-r" {
			return args, nil // an extension of bash; left to the interpreter
		}
		raw, names = true, names[1:]
	}
	hc := interp.HandlerCtx(ctx)
	line, escaped, complete, err := readLine(hc.Stdin, raw)
	if err != nil {
		return nil, err
	}
	ifs := " \t\n"
	if v := hc.Env.Get("IFS"); v.IsSet() {
		ifs = v.String()
	}
	if len(names) == 0 {
		names = []string{"REPLY"}
	}
	values := splitRead(line, escaped, ifs, len(names))
	var b strings.Builder
	for i, name := range names {
		if !syntax.ValidName(name) {
			return []string{"false"}, nil
		}
		quoted, err := syntax.Quote(values[i], syntax.LangBash)
		if err != nil {
			return []string{"false"}, nil // a zero byte, which no variable holds
		}
		b.WriteString(name + "=" + quoted + "; ")
	}
	if complete {
		b.WriteString("true")
	} else {
		b.WriteString("false")
	}
	return []string{"eval", b.String()}, nil
}

// readLine reads to a newline, byte by byte: what follows belongs to the next
// command. It says which bytes a backslash protects, and whether the line
// ended.
func readLine(r io.Reader, raw bool) (line []byte, escaped []bool, complete bool, err error) {
	if r == nil {
		return nil, nil, false, nil
	}
	quoted := false
	for {
		var b [1]byte
		n, err := r.Read(b[:])
		if n == 0 {
			if err == nil {
				continue
			}
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return line, escaped, false, err
		}
		switch {
		case quoted:
			quoted = false
			if b[0] == '\n' {
				continue
			}
			line, escaped = append(line, b[0]), append(escaped, true)
		case b[0] == '\\' && !raw:
			quoted = true
		case b[0] == '\n':
			return line, escaped, true, nil
		default:
			line, escaped = append(line, b[0]), append(escaped, false)
		}
		if len(line) > maxLine {
			return nil, nil, false, errTooMuch
		}
	}
}

// splitRead splits a line into n fields as POSIX has it: spaces of IFS at the
// ends go, every other separator ends a field, and the last field keeps what
// is left.
func splitRead(line []byte, escaped []bool, ifs string, n int) []string {
	separator := func(i int) bool { return !escaped[i] && strings.IndexByte(ifs, line[i]) >= 0 }
	space := func(i int) bool { return separator(i) && strings.IndexByte(" \t\n", line[i]) >= 0 }
	end := len(line)
	for end > 0 && space(end-1) {
		end--
	}
	i := 0
	for i < end && space(i) {
		i++
	}
	fields := make([]string, n)
	for f := range n {
		start := i
		if f == n-1 {
			last := end
			// One separator at the very end ends the last field too.
			if at := nextSeparator(line, separator, i, end); at == end-1 && end > i {
				last = at
			}
			fields[f] = string(line[start:max(last, start)])
			break
		}
		i = nextSeparator(line, separator, i, end)
		fields[f] = string(line[start:i])
		for i < end && space(i) {
			i++
		}
		if i < end && separator(i) { // one separator that is no space, with spaces around it
			i++
			for i < end && space(i) {
				i++
			}
		}
	}
	return fields
}

func nextSeparator(line []byte, separator func(int) bool, i, end int) int {
	for i < end && i < len(line) && !separator(i) {
		i++
	}
	return i
}
