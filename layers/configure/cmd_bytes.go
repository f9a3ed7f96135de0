package configure

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"hash"
	"strings"
)

func cmdTr(_ context.Context, c *call) int {
	o := parseOptions(c.args)
	if len(o.args) == 0 {
		return c.fail("missing operand")
	}
	b, err := c.readAll()
	if err != nil {
		return c.fail("%v", err)
	}
	from := expandSet(o.args[0])
	in := [256]int{}
	for i := range in {
		in[i] = -1
	}
	for i, ch := range from {
		if in[ch] < 0 {
			in[ch] = i
		}
	}
	if o.has("c", "C", "complement") {
		for i := range in {
			if in[i] < 0 {
				in[i] = 1 << 20 // maps to the last of the second set
			} else {
				in[i] = -1
			}
		}
	}
	var to []byte
	if len(o.args) > 1 {
		to = expandSet(o.args[1])
	}
	var out []byte
	for _, ch := range b {
		i := in[ch]
		switch {
		case i < 0:
			out = append(out, ch)
			continue
		case o.has("d", "delete"):
			continue
		case len(to) > 0:
			ch = to[min(i, len(to)-1)]
		}
		if o.has("s", "squeeze-repeats") && len(out) > 0 && out[len(out)-1] == ch {
			continue
		}
		out = append(out, ch)
	}
	c.stdout.Write(out)
	return 0
}

// expandSet spells out the ranges, classes and escapes of tr.
func expandSet(s string) []byte {
	classes := map[string]string{
		"[:upper:]": "A-Z", "[:lower:]": "a-z", "[:digit:]": "0-9", "[:alpha:]": "A-Za-z",
		"[:alnum:]": "0-9A-Za-z", "[:space:]": `\t\n\v\f\r `, "[:blank:]": `\t `, "[:punct:]": "!-/:-@[-`{-~",
	}
	for class, set := range classes {
		s = strings.ReplaceAll(s, class, set)
	}
	var chars []byte
	raw := []byte(s)
	for i := 0; i < len(raw); i++ {
		ch := raw[i]
		if ch == '\\' && i+1 < len(raw) {
			ch, i = unescape(raw, i+1)
		}
		chars = append(chars, ch)
		if i+2 < len(raw) && raw[i+1] == '-' {
			for x := int(ch) + 1; x <= int(raw[i+2]); x++ {
				chars = append(chars, byte(x))
			}
			i += 2
		}
	}
	return chars
}

// unescape reads the escape whose letter is at i, and returns the last index
// it took.
func unescape(s []byte, i int) (byte, int) {
	switch s[i] {
	case 'n':
		return '\n', i
	case 't':
		return '\t', i
	case 'r':
		return '\r', i
	case 'f':
		return '\f', i
	case 'v':
		return '\v', i
	case '0', '1', '2', '3', '4', '5', '6', '7':
		n, j := 0, i
		for ; j < len(s) && j < i+3 && s[j] >= '0' && s[j] <= '7'; j++ {
			n = n*8 + int(s[j]-'0')
		}
		return byte(n), j - 1
	}
	return s[i], i
}

func cmdCmp(_ context.Context, c *call) int {
	o := parseOptions(c.args)
	if len(o.args) < 2 {
		return 2
	}
	a, errA := c.inputFile(o.args[0])
	b, errB := c.inputFile(o.args[1])
	if errA != nil || errB != nil {
		if !o.has("s", "silent", "quiet") {
			c.fail("%v %v", errA, errB)
		}
		return 2
	}
	if bytes.Equal(a, b) {
		return 0
	}
	if !o.has("s", "silent", "quiet", "q", "brief") {
		c.printf("%s %s differ\n", o.args[0], o.args[1])
	}
	return 1
}

func cmdSum(_ context.Context, c *call) int {
	o := parseOptions(c.args)
	if o.has("c", "check") {
		return c.fail("checking is not supported")
	}
	names := o.args
	if len(names) == 0 {
		names = []string{"-"}
	}
	result := 0
	for _, name := range names {
		b, err := c.inputFile(name)
		if err != nil {
			result = c.fail("%v", err)
			continue
		}
		var h hash.Hash
		switch c.name {
		case "md5sum":
			h = md5.New()
		case "sha1sum":
			h = sha1.New()
		case "sha256sum":
			h = sha256.New()
		default:
			h = sha512.New()
		}
		h.Write(b)
		fmt.Fprintf(c.stdout, "%x  %s\n", h.Sum(nil), name)
	}
	return result
}
