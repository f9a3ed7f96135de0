package configure

import (
	"bytes"
	"context"
	"regexp"
	"strings"
)

func cmdSed(_ context.Context, c *call) int {
	var script []string
	var inPlace bool
	var rest []string
	o := parseOptions(sedArgs(c.args, &script, &inPlace, &rest))
	quiet := o.has("n", "quiet", "silent")
	if len(script) == 0 {
		if len(rest) == 0 {
			return c.fail("missing script")
		}
		script, rest = rest[:1], rest[1:]
	}
	text := strings.Join(script, "\n")
	extended := o.has("E", "r", "regexp-extended")
	if !inPlace {
		b, ok := c.input(rest, false)
		out, err := runSed(text, extended, quiet, b)
		if err != nil {
			return c.fail("%v", err)
		}
		c.stdout.Write(out)
		return status(ok)
	}
	for _, name := range rest {
		b, err := c.v.readFile(c.path(name))
		if err == nil {
			b, err = runSed(text, extended, quiet, b)
		}
		if err == nil {
			err = c.v.writeFile(c.path(name), b, 0o644, false)
		}
		if err != nil {
			return c.fail("%v", err)
		}
	}
	return 0
}

// sedArgs takes the scripts and file names out of the arguments and returns
// the plain flags.
func sedArgs(args []string, script *[]string, inPlace *bool, rest *[]string) []string {
	var flags []string
	for i := 0; i < len(args); i++ {
		a := args[i]
		switch {
		case a == "--":
			*rest = append(*rest, args[i+1:]...)
			return flags
		case strings.HasPrefix(a, "--expression="):
			*script = append(*script, strings.TrimPrefix(a, "--expression="))
		case strings.HasPrefix(a, "--in-place"):
			*inPlace = true
		case strings.HasPrefix(a, "--"):
			flags = append(flags, a)
		case len(a) > 1 && a[0] == '-':
			for j := 1; j < len(a); j++ {
				if a[j] == 'i' {
					*inPlace = true
					break // what follows is a suffix for a copy
				}
				if a[j] != 'e' {
					flags = append(flags, "-"+a[j:j+1])
					continue
				}
				if s := a[j+1:]; s != "" {
					*script = append(*script, s)
				} else if i+1 < len(args) {
					i++
					*script = append(*script, args[i])
				}
				break
			}
		default:
			*rest = append(*rest, a)
		}
	}
	return flags
}

// sedState is a run of a script over the lines of its input.
type sedState struct {
	out    bytes.Buffer
	lines  []string
	n      int // index of the current line
	space  string
	after  []string // what a appended
	quiet  bool
	quit   bool
	last   *regexp.Regexp
	noEnd  bool // the input's last line has no newline
	closed bool
}

func runSed(script string, extended, quiet bool, input []byte) ([]byte, error) {
	cmds, err := parseSed(script, extended)
	if err != nil {
		return nil, err
	}
	addNewline := strings.TrimSpace(script) == `$a\` // the idiom that only ends the last line
	st := &sedState{lines: lines(input), quiet: quiet}
	st.noEnd = len(input) > 0 && input[len(input)-1] != '\n' && !addNewline
	for st.n = 0; st.n < len(st.lines) && !st.quit; st.n++ {
		st.space = st.lines[st.n]
		deleted := st.run(cmds)
		if !deleted && !st.quiet {
			st.emit(st.space)
		}
		for _, t := range st.after {
			st.emit(t)
		}
		st.after = nil
	}
	out := st.out.Bytes()
	if st.noEnd && st.n == len(st.lines) && st.closed {
		out = bytes.TrimSuffix(out, []byte("\n"))
	}
	return out, nil
}

func (st *sedState) emit(line string) {
	st.out.WriteString(line + "\n")
	st.closed = st.n == len(st.lines)-1
}

// run applies commands to the pattern space; it reports whether that is gone.
func (st *sedState) run(cmds []sedCommand) bool {
	for i := range cmds {
		cmd := &cmds[i]
		if st.selects(cmd) == cmd.negate {
			continue
		}
		switch cmd.op {
		case '{':
			if st.run(cmd.block) {
				return true
			}
		case 's':
			st.substitute(cmd)
		case 'y':
			st.space = strings.Map(func(r rune) rune {
				for j := 0; j < len(cmd.table); j += 2 {
					if cmd.table[j] == r {
						return cmd.table[j+1]
					}
				}
				return r
			}, st.space)
		case 'p':
			st.emit(st.space)
		case 'd':
			return true
		case 'q':
			st.quit = true
			return false
		case 'n':
			if st.n+1 >= len(st.lines) {
				st.quit = true
				return false
			}
			if !st.quiet {
				st.emit(st.space)
			}
			st.n++
			st.space = st.lines[st.n]
		case 'a':
			if cmd.text != "" {
				st.after = append(st.after, cmd.text)
			}
		case 'i':
			st.emit(cmd.text)
		case 'c':
			if cmd.to == nil || !*cmd.active {
				st.emit(cmd.text)
			}
			return true
		}
		if st.quit {
			return false
		}
	}
	return false
}

func (st *sedState) selects(cmd *sedCommand) bool {
	if cmd.from == nil {
		return true
	}
	if cmd.to == nil {
		return st.at(cmd.from)
	}
	line := st.n + 1
	if !*cmd.active {
		if !st.at(cmd.from) {
			return false
		}
		*cmd.end = cmd.to.line
		if cmd.to.plus > 0 {
			*cmd.end = line + cmd.to.plus
		}
		// A range by number that is over already is one line long.
		*cmd.active = cmd.to.re != nil || cmd.to.last || *cmd.end > line
		return true
	}
	switch {
	case cmd.to.re != nil:
		*cmd.active = !cmd.to.re.MatchString(st.space)
	case cmd.to.last:
		*cmd.active = line < len(st.lines)
	default:
		*cmd.active = line < *cmd.end
	}
	return true
}

func (st *sedState) at(a *sedAddress) bool {
	switch {
	case a.re != nil:
		st.last = a.re
		return a.re.MatchString(st.space)
	case a.last:
		return st.n == len(st.lines)-1
	}
	return a.line == st.n+1
}

func (st *sedState) substitute(cmd *sedCommand) {
	re := cmd.re
	if re == nil {
		re = st.last
	}
	if re == nil {
		return
	}
	st.last = re
	var b strings.Builder
	end, count, changed := 0, 0, false
	for _, m := range re.FindAllStringSubmatchIndex(st.space, -1) {
		count++
		if count < max(cmd.nth, 1) {
			continue
		}
		b.WriteString(st.space[end:m[0]])
		expandSed(&b, cmd.repl, st.space, m)
		end, changed = m[1], true
		if !cmd.global {
			break
		}
	}
	if !changed {
		return
	}
	b.WriteString(st.space[end:])
	st.space = b.String()
	if cmd.print {
		st.emit(st.space)
	}
}

// expandSed writes a replacement: & and \N are what matched.
func expandSed(b *strings.Builder, repl, src string, m []int) {
	for i := 0; i < len(repl); i++ {
		ch := repl[i]
		group := -1
		switch {
		case ch == '&':
			group = 0
		case ch == '\\' && i+1 < len(repl):
			i++
			switch c := repl[i]; {
			case c >= '0' && c <= '9':
				group = int(c - '0')
			case c == 'n':
				b.WriteByte('\n')
				continue
			case c == 't':
				b.WriteByte('\t')
				continue
			default:
				b.WriteByte(c)
				continue
			}
		default:
			b.WriteByte(ch)
			continue
		}
		if 2*group+1 < len(m) && m[2*group] >= 0 {
			b.WriteString(src[m[2*group]:m[2*group+1]])
		}
	}
}
