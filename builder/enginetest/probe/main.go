// Command probe is the program that enginetest runs inside and outside of an
// engine. Its first argument says what to look at or to try; what it finds
// goes to standard output, a failed system call as the name of its error.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "probe: nothing to do")
		os.Exit(2)
	}
	do, ok := verbs[os.Args[1]]
	if !ok {
		fmt.Fprintf(os.Stderr, "probe: %q: unknown\n", os.Args[1])
		os.Exit(2)
	}
	fmt.Println(do(os.Args[2:]))
}

// verbs maps each first argument to what it does with the others.
var verbs = map[string]func([]string) string{
	"args":       func(args []string) string { return asJSON(args) },
	"environ":    func([]string) string { return asJSON(os.Environ()) },
	"cwd":        func([]string) string { s, err := unix.Getwd(); return s + outcome(err) },
	"ids":        ids,
	"host":       host,
	"status":     status,
	"descriptor": descriptors,
	"umask":      func([]string) string { return fmt.Sprintf("%04o", unix.Umask(0)) },
	"rlimits":    rlimits,
	"list":       list,
	"read":       read,
	"size":       size,
	"mode":       mode,
	"write":      func(args []string) string { return result(os.WriteFile(args[0], []byte(args[1]), 0o666)) },
	"open":       openFor,
	"remove":     func(args []string) string { return result(os.RemoveAll(args[0])) },
	"mkdir":      func(args []string) string { return result(os.Mkdir(args[0], 0o777)) },
	"link":       func(args []string) string { return result(unix.Link(args[0], args[1])) },
	"chmod":      chmod,
	"create":     create,
	"interfaces": interfaces,
	"dial":       dial,
	"loopback":   loopback,
	"socket":     socket,
	"call":       call,
	"key":        findKey,
	"push":       pushInput,
	"i386":       i386,
	"exit":       func(args []string) string { n, _ := strconv.Atoi(args[0]); os.Exit(n); return "" },
	"die":        die,
	"both":       both,
	"flood":      flood,
	"copy":       func([]string) string { _, err := io.Copy(os.Stdout, os.Stdin); return outcome(err) },
	"orphan":     orphan,
	"tree":       tree,
	"wait":       wait,
}

func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return outcome(err)
	}
	return string(b)
}

// result is "ok" or the name of the error.
func result(err error) string {
	if err == nil {
		return "ok"
	}
	return outcome(err)
}

// outcome is empty, the name of an error number, or an error in words.
func outcome(err error) string {
	var errno syscall.Errno
	switch {
	case err == nil:
		return ""
	case errors.As(err, &errno):
		if errno == 0 {
			return "ok"
		}
		return unix.ErrnoName(errno)
	}
	return "error: " + err.Error()
}

func ids([]string) string {
	groups, err := unix.Getgroups()
	return fmt.Sprint(os.Getuid(), os.Geteuid(), os.Getgid(), os.Getegid(), groups) + outcome(err)
}

func host([]string) string {
	var u unix.Utsname
	err := unix.Uname(&u)
	return unix.ByteSliceToString(u.Nodename[:]) + " " + unix.ByteSliceToString(u.Domainname[:]) + outcome(err)
}

// status prints the named lines of /proc/self/status.
func status(names []string) string {
	text, err := os.ReadFile("/proc/self/status")
	var out []string
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(line, ":")
		if slices.Contains(names, key) {
			out = append(out, key+"="+strings.TrimSpace(value))
		}
	}
	return strings.Join(out, " ") + outcome(err)
}

// descriptors prints what each inherited open file is. The runtime's own are
// close-on-exec, those which were inherited are not.
func descriptors([]string) string {
	var out []string
	for fd := 3; fd < 1024; fd++ {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err != nil || flags&unix.FD_CLOEXEC != 0 {
			continue
		}
		name, _ := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
		out = append(out, name)
	}
	return asJSON(out)
}

func rlimits([]string) string {
	var out []string
	for r := range 16 {
		var l unix.Rlimit
		if err := unix.Prlimit(0, r, nil, &l); err != nil {
			return outcome(err)
		}
		// The runtime raises the soft number of files on its own account.
		if r == unix.RLIMIT_NOFILE {
			l.Cur = 0
		}
		out = append(out, fmt.Sprintf("%d:%d/%d", r, l.Cur, l.Max))
	}
	return strings.Join(out, " ")
}

func list(args []string) string {
	entries, err := os.ReadDir(args[0])
	names := []string{}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ") + outcome(err)
}

func read(args []string) string {
	b, err := os.ReadFile(args[0])
	return string(b) + outcome(err)
}

// size prints for each file how many bytes can be read from it.
func size(files []string) string {
	var out []string
	for _, file := range files {
		b, err := os.ReadFile(file)
		out = append(out, file+"="+strconv.Itoa(len(b))+outcome(err))
	}
	return strings.Join(out, " ")
}

func mode(args []string) string {
	var st unix.Stat_t
	if err := unix.Lstat(args[0], &st); err != nil {
		return outcome(err)
	}
	return fmt.Sprintf("%o %d %d", st.Mode, st.Uid, st.Gid)
}

func openFor(args []string) string {
	fd, err := unix.Open(args[0], unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		unix.Close(fd)
	}
	return result(err)
}

func chmod(args []string) string {
	bits, err := strconv.ParseUint(args[0], 8, 32)
	if err != nil {
		return outcome(err)
	}
	return result(unix.Fchmodat(unix.AT_FDCWD, args[1], uint32(bits), 0))
}

// create makes a file with the mode at once.
func create(args []string) string {
	bits, err := strconv.ParseUint(args[0], 8, 32)
	if err != nil {
		return outcome(err)
	}
	fd, err := unix.Open(args[1], unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY, uint32(bits))
	if err == nil {
		unix.Close(fd)
	}
	return result(err)
}
