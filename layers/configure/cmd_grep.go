package configure

import (
	"context"
	"regexp"
	"strconv"
	"strings"
)

// matcher is a compiled set of grep patterns.
type matcher struct {
	res []*regexp.Regexp
}

func (m matcher) find(line string) string {
	for _, re := range m.res {
		if loc := re.FindStringIndex(line); loc != nil {
			return line[loc[0]:loc[1]]
		}
	}
	return ""
}

func (m matcher) match(line string) bool {
	for _, re := range m.res {
		if re.MatchString(line) {
			return true
		}
	}
	return false
}

func cmdGrep(_ context.Context, c *call) int {
	o := parseOptions(c.args, "e", "regexp", "f", "file", "m", "max-count", "A", "B", "C")
	args := o.args
	pattern := o.value("e", "regexp")
	if !o.has("e", "regexp") {
		if o.has("f", "file") {
			b, err := c.inputFile(o.value("f", "file"))
			if err != nil {
				return 2
			}
			pattern = strings.TrimSuffix(string(b), "\n")
		} else {
			if len(args) == 0 {
				return 2
			}
			pattern, args = args[0], args[1:]
		}
	}
	m, err := grepMatcher(pattern, o, c.name)
	if err != nil {
		c.fail("%v", err)
		return 2
	}
	return c.grep(m, args, o)
}

func grepMatcher(pattern string, o options, name string) (matcher, error) {
	var m matcher
	extended := o.has("E", "extended-regexp", "P", "perl-regexp") || name == "egrep"
	for one := range strings.SplitSeq(pattern, "\n") {
		fixed := o.has("F", "fixed-strings") || name == "fgrep"
		if fixed {
			one = regexp.QuoteMeta(one)
		}
		switch {
		case o.has("x", "line-regexp"):
			one = wrap(one, "^", "$", extended || fixed)
		case o.has("w", "word-regexp"):
			one = wrap(one, `\b`, `\b`, extended || fixed)
		}
		re, err := compileGrep(one, fixed, extended, o.has("i", "ignore-case", "y"))
		if err != nil {
			return m, err
		}
		m.res = append(m.res, re)
	}
	return m, nil
}

func wrap(expr, before, after string, extended bool) string {
	if extended {
		return before + "(" + expr + ")" + after
	}
	return before + `\(` + expr + `\)` + after
}

func compileGrep(expr string, fixed, extended, fold bool) (*regexp.Regexp, error) {
	if fixed {
		if fold {
			expr = "(?i)" + expr
		}
		return regexp.Compile(expr)
	}
	return compilePOSIX(expr, extended, fold)
}

func (c *call) grep(m matcher, names []string, o options) int {
	if o.has("r", "R", "recursive") {
		names = c.filesBelow(names)
	}
	if len(names) == 0 {
		names = []string{"-"}
	}
	prefix := len(names) > 1 && !o.has("h", "no-filename") || o.has("H", "with-filename")
	found, failed := false, false
	for _, name := range names {
		b, err := c.inputFile(name)
		if err != nil {
			failed = true
			if !o.has("s", "no-messages") {
				c.fail("%v", err)
			}
			continue
		}
		label := ""
		if prefix {
			label = name + ":"
		}
		found = c.grepText(m, string(b), name, label, o) || found
	}
	switch {
	case found && (!failed || o.has("q", "quiet", "silent")):
		return 0
	case failed:
		return 2
	}
	return 1
}

// grepText prints what the options want of one text, and says whether a line
// matched.
func (c *call) grepText(m matcher, text, name, label string, o options) bool {
	if o.has("z", "null-data") {
		text = strings.ReplaceAll(text, "\x00", "\n")
	}
	limit := 1 << 30
	if n, err := strconv.Atoi(o.value("m", "max-count")); err == nil {
		limit = n
	}
	quiet := o.has("q", "quiet", "silent")
	count := 0
	for i, line := range lines([]byte(text)) {
		if m.match(line) == o.has("v", "invert-match") || count >= limit {
			continue
		}
		count++
		if quiet || o.has("c", "count", "l", "files-with-matches", "L") {
			continue
		}
		c.printf("%s", label)
		if o.has("n", "line-number") {
			c.printf("%d:", i+1)
		}
		if o.has("o", "only-matching") {
			line = m.find(line)
		}
		c.printf("%s\n", line)
	}
	switch {
	case quiet:
	case o.has("c", "count"):
		c.printf("%s%d\n", label, count)
	case o.has("l", "files-with-matches") && count > 0, o.has("L", "files-without-match") && count == 0:
		c.printf("%s\n", name)
	}
	return count > 0
}
