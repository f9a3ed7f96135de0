package configure

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"strings"
)

// input returns the content of the named files, or of standard input, and
// whether all could be read.
func (c *call) input(names []string, quiet bool) ([]byte, bool) {
	if len(names) == 0 {
		names = []string{"-"}
	}
	var all []byte
	ok := true
	for _, name := range names {
		b, err := c.inputFile(name)
		if err != nil {
			ok = false
			if !quiet {
				c.fail("%v", err)
			}
			continue
		}
		all = append(all, b...)
	}
	return all, ok
}

func (c *call) inputFile(name string) ([]byte, error) {
	switch name {
	case "-", "/dev/stdin":
		return c.readAll()
	case "/dev/null":
		return nil, nil
	}
	return c.v.readFile(c.path(name))
}

// lines splits text at newlines; a last one without end counts.
func lines(b []byte) []string {
	if len(b) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
}

func status(ok bool) int {
	if ok {
		return 0
	}
	return 1
}

func cmdCat(_ context.Context, c *call) int {
	b, ok := c.input(parseOptions(c.args).args, false)
	c.stdout.Write(b)
	return status(ok)
}

func cmdTee(_ context.Context, c *call) int {
	o := parseOptions(c.args)
	b, err := c.readAll()
	if err != nil {
		return c.fail("%v", err)
	}
	c.stdout.Write(b)
	for _, name := range o.args {
		if name == "/dev/null" || name == "/dev/stderr" {
			continue
		}
		if err := c.v.writeFile(c.path(name), b, 0o666&^c.umask.Load(), o.has("a", "append")); err != nil {
			return c.fail("%v", err)
		}
	}
	return 0
}

func cmdHead(_ context.Context, c *call) int {
	args := c.args
	n := 10
	if len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' && args[0][1] >= '0' && args[0][1] <= '9' {
		args = append([]string{"-n", args[0][1:]}, args[1:]...)
	}
	o := parseOptions(args, "n", "lines", "c", "bytes")
	b, ok := c.input(o.args, false)
	if v := o.value("c", "bytes"); v != "" {
		k, err := strconv.Atoi(v)
		if err != nil {
			return c.fail("invalid number %q", v)
		}
		if c.name == "tail" {
			b = b[max(0, len(b)-k):]
		} else {
			b = b[:min(len(b), max(k, 0))]
		}
		c.stdout.Write(b)
		return status(ok)
	}
	from := false
	if v := o.value("n", "lines"); v != "" {
		from = strings.HasPrefix(v, "+")
		k, err := strconv.Atoi(strings.TrimPrefix(v, "+"))
		if err != nil {
			return c.fail("invalid number %q", v)
		}
		n = k
	}
	all := lines(b)
	switch {
	case c.name == "head" && n < 0:
		all = all[:max(0, len(all)+n)]
	case c.name == "head":
		all = all[:min(len(all), n)]
	case from:
		all = all[min(len(all), max(n-1, 0)):]
	default:
		all = all[max(0, len(all)-max(n, -n)):]
	}
	for _, l := range all {
		c.printf("%s\n", l)
	}
	return status(ok)
}

func cmdWc(_ context.Context, c *call) int {
	o := parseOptions(c.args)
	b, ok := c.input(o.args, false)
	var counts []string
	if o.has("l", "lines") || len(o.set) == 0 {
		counts = append(counts, strconv.Itoa(bytes.Count(b, []byte("\n"))))
	}
	if o.has("w", "words") || len(o.set) == 0 {
		counts = append(counts, strconv.Itoa(len(bytes.Fields(b))))
	}
	if o.has("c", "bytes", "m", "chars") || len(o.set) == 0 {
		counts = append(counts, strconv.Itoa(len(b)))
	}
	c.printf("%s\n", strings.Join(append(counts, o.args...), " "))
	return status(ok)
}

func cmdSort(_ context.Context, c *call) int {
	o := parseOptions(c.args, "k", "key", "t", "field-separator", "o", "output")
	if o.has("k", "key") && o.value("k", "key") != "1" && o.value("k", "key") != "1,1" {
		return c.fail("unsupported key")
	}
	b, ok := c.input(o.args, false)
	all := lines(b)
	compare := strings.Compare
	if o.has("n", "numeric-sort") {
		compare = func(a, b string) int {
			x, y := leadingNumber(a), leadingNumber(b)
			if x != y {
				if x < y {
					return -1
				}
				return 1
			}
			return strings.Compare(a, b)
		}
	}
	if o.has("V", "version-sort") {
		compare = compareVersions
	}
	slices.SortStableFunc(all, compare)
	if o.has("r", "reverse") {
		slices.Reverse(all)
	}
	if o.has("u", "unique") {
		all = slices.Compact(all)
	}
	var out bytes.Buffer
	for _, l := range all {
		out.WriteString(l + "\n")
	}
	if name := o.value("o", "output"); name != "" {
		if err := c.v.writeFile(c.path(name), out.Bytes(), 0o644, false); err != nil {
			return c.fail("%v", err)
		}
		return status(ok)
	}
	c.stdout.Write(out.Bytes())
	return status(ok)
}

func leadingNumber(s string) float64 {
	s = strings.TrimLeft(s, " \t")
	end := 0
	for end < len(s) && (s[end] >= '0' && s[end] <= '9' || s[end] == '.' || end == 0 && s[end] == '-') {
		end++
	}
	n, _ := strconv.ParseFloat(s[:end], 64) // text that is no number sorts as zero
	return n
}

func cmdUniq(_ context.Context, c *call) int {
	o := parseOptions(c.args)
	b, ok := c.input(o.args, false)
	all := lines(b)
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j] == all[i] {
			j++
		}
		switch {
		case o.has("d") && j-i < 2, o.has("u") && j-i > 1:
		case o.has("c", "count"):
			c.printf("%7d %s\n", j-i, all[i])
		default:
			c.printf("%s\n", all[i])
		}
		i = j
	}
	return status(ok)
}

func cmdCut(_ context.Context, c *call) int {
	o := parseOptions(c.args, "f", "fields", "d", "delimiter", "c", "characters", "b")
	b, ok := c.input(o.args, false)
	delim := "\t"
	if o.has("d", "delimiter") {
		delim = o.value("d", "delimiter")
	}
	spec := o.value("f", "fields")
	chars := o.value("c", "characters", "b")
	for _, l := range lines(b) {
		var parts []string
		sep := delim
		if chars != "" {
			parts, sep, spec = strings.Split(l, ""), "", chars
		} else if !strings.Contains(l, delim) {
			if !o.has("s", "only-delimited") {
				c.printf("%s\n", l)
			}
			continue
		} else {
			parts = strings.Split(l, delim)
		}
		var kept []string
		for i, p := range parts {
			if inRanges(spec, i+1) {
				kept = append(kept, p)
			}
		}
		c.printf("%s\n", strings.Join(kept, sep))
	}
	return status(ok)
}

func inRanges(spec string, n int) bool {
	for r := range strings.SplitSeq(spec, ",") {
		lo, hi, isRange := strings.Cut(r, "-")
		from, errLo := strconv.Atoi(lo)
		to, errHi := strconv.Atoi(hi)
		if !isRange {
			to, errHi = from, errLo
		}
		if (lo == "" || errLo == nil && n >= from) && (isRange && hi == "" || errHi == nil && n <= to) {
			return true
		}
	}
	return false
}
