package main

import (
	"context"
	"flag"
	"fmt"
	"strings"
)

func cmdCompletion(*flag.FlagSet) action {
	return func(_ context.Context, t *terminal, args []string) error {
		if len(args) != 1 {
			return usagef("completion wants one of bash, zsh, fish")
		}
		script, ok := map[string]func() string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}[args[0]]
		if !ok {
			return usagef("completion for %q: want one of bash, zsh, fish", args[0])
		}
		fmt.Fprint(t.out, script())
		return nil
	}
}

// flagsOf lists the flags of a command as one types them.
func flagsOf(c command) []*flag.Flag {
	fs := flag.NewFlagSet(c.name, flag.ContinueOnError)
	c.setup(fs)
	var out []*flag.Flag
	fs.VisitAll(func(f *flag.Flag) { out = append(out, f) })
	return out
}

func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// words are the arguments that a command takes besides flags.
func (c command) words() []string {
	switch c.name {
	case "image":
		return []string{"inspect"}
	case "store":
		return []string{"path", "verify"}
	case "completion":
		return []string{"bash", "zsh", "fish"}
	}
	return nil
}

func bashCompletion() string {
	var b strings.Builder
	b.WriteString("# bash completion for retort: source <(retort completion bash)\n_retort() {\n")
	b.WriteString("  local cur=${COMP_WORDS[COMP_CWORD]} command= i\n")
	b.WriteString("  for ((i = 1; i < COMP_CWORD; i++)); do\n    case ${COMP_WORDS[i]} in\n")
	b.WriteString("      -C) i=$((i + 1)) ;;\n      -*) ;;\n      *) command=${COMP_WORDS[i]}; break ;;\n    esac\n  done\n")
	b.WriteString("  case $command in\n    '') COMPREPLY=($(compgen -W '-C")
	for _, c := range commands() {
		b.WriteString(" " + c.name)
	}
	b.WriteString(" help' -- \"$cur\")) ;;\n")
	for _, c := range commands() {
		words := c.words()
		for _, f := range flagsOf(c) {
			words = append(words, dashed(f.Name))
		}
		fmt.Fprintf(&b, "    %s) COMPREPLY=($(compgen -W '%s' -- \"$cur\")) ;;\n", c.name, strings.Join(words, " "))
	}
	b.WriteString("  esac\n  if [ ${#COMPREPLY[@]} -eq 0 ]; then COMPREPLY=($(compgen -f -- \"$cur\")); fi\n}\ncomplete -F _retort retort\n")
	return b.String()
}

func zshCompletion() string {
	var b strings.Builder
	b.WriteString("#compdef retort\n# zsh completion for retort: retort completion zsh > \"${fpath[1]}/_retort\"\n_retort() {\n  local -a commands\n  commands=(\n")
	for _, c := range commands() {
		fmt.Fprintf(&b, "    '%s:%s'\n", c.name, quoteSh(c.summary))
	}
	b.WriteString("  )\n  _arguments -C '-C[work as if started in DIR]:folder:_files -/' '1:command:->command' '*::argument:->argument'\n")
	b.WriteString("  case $state in\n    command) _describe command commands ;;\n    argument)\n      case $words[1] in\n")
	for _, c := range commands() {
		fmt.Fprintf(&b, "        %s) _arguments", c.name)
		for _, f := range flagsOf(c) {
			_, usage := flag.UnquoteUsage(f)
			fmt.Fprintf(&b, " '%s[%s]'", dashed(f.Name), quoteSh(usage))
		}
		if words := c.words(); len(words) > 0 {
			fmt.Fprintf(&b, " '1:argument:(%s)'", strings.Join(words, " "))
		}
		b.WriteString(" '*:file:_files' ;;\n")
	}
	b.WriteString("      esac ;;\n  esac\n}\n_retort \"$@\"\n")
	return b.String()
}

func fishCompletion() string {
	var b strings.Builder
	b.WriteString("# fish completion for retort: retort completion fish | source\ncomplete -c retort -s C -r -d 'work as if started in DIR'\n")
	for _, c := range commands() {
		fmt.Fprintf(&b, "complete -c retort -n __fish_use_subcommand -f -a %s -d '%s'\n", c.name, quoteSh(c.summary))
		in := "'__fish_seen_subcommand_from " + c.name + "'"
		for _, f := range flagsOf(c) {
			_, usage := flag.UnquoteUsage(f)
			opt := "-l " + f.Name
			if len(f.Name) == 1 {
				opt = "-s " + f.Name
			}
			fmt.Fprintf(&b, "complete -c retort -n %s %s -d '%s'\n", in, opt, quoteSh(usage))
		}
		for _, word := range c.words() {
			fmt.Fprintf(&b, "complete -c retort -n %s -f -a %s\n", in, word)
		}
	}
	return b.String()
}

// quoteSh makes a text fit between single quotes and in zsh's specs.
func quoteSh(s string) string {
	return strings.NewReplacer("'", "", "[", "(", "]", ")", ":", " -", "\n", " ").Replace(s)
}
