package configure

import "strings"

// options are the flags of a command, by name without dashes; the value of a
// flag without argument is "".
type options struct {
	set  map[string]string
	args []string
}

func (o options) has(names ...string) bool {
	for _, n := range names {
		if _, ok := o.set[n]; ok {
			return true
		}
	}
	return false
}

func (o options) value(names ...string) string {
	for _, n := range names {
		if v, ok := o.set[n]; ok {
			return v
		}
	}
	return ""
}

// parseOptions reads GNU-style options, which may stand anywhere before "--".
// Valued names those that take an argument.
func parseOptions(args []string, valued ...string) options {
	takes := make(map[string]bool)
	for _, v := range valued {
		takes[v] = true
	}
	o := options{set: make(map[string]string)}
	for i := 0; i < len(args); i++ {
		a := args[i]
		switch {
		case a == "--":
			o.args = append(o.args, args[i+1:]...)
			return o
		case strings.HasPrefix(a, "--"):
			name, value, has := strings.Cut(a[2:], "=")
			if !has && takes[name] && i+1 < len(args) {
				i++
				value = args[i]
			}
			o.set[name] = value
		case len(a) > 1 && a[0] == '-':
			for j := 1; j < len(a); j++ {
				name := a[j : j+1]
				if !takes[name] {
					o.set[name] = ""
					continue
				}
				value := a[j+1:]
				if value == "" && i+1 < len(args) {
					i++
					value = args[i]
				}
				o.set[name] = value
				break
			}
		default:
			o.args = append(o.args, a)
		}
	}
	return o
}
