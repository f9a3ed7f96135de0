package configure

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/retort-build/retort/internal/tarball"
)

// before makes what dpkg or the installer make before any script runs.
func (s *session) before() error {
	if s.in.UsrMerge {
		if err := s.mergeUsr(); err != nil {
			return err
		}
	}
	for _, d := range []struct {
		path string
		mode uint32
	}{
		{"dev", 0o755}, {"etc", 0o755}, {"etc/alternatives", 0o755}, {"home", 0o755}, {"proc", 0o555}, {"root", 0o700},
		{"run", 0o755}, {"sys", 0o555}, {"tmp", 0o1777}, {"usr", 0o755}, {"var/tmp", 0o1777},
		{"var/lib/dpkg/alternatives", 0o755}, {"var/lib/dpkg/info", 0o755},
	} {
		if s.v.exists("/" + d.path) {
			continue
		}
		if err := s.v.mkdirAll("/"+d.path, 0o755); err != nil {
			return err
		}
		if err := s.v.change("/"+d.path, true, func(n *node) { n.mode = d.mode }); err != nil {
			return err
		}
	}
	return s.masterTables()
}

// mergeUsr makes the links that base-files ships since trixie.
func (s *session) mergeUsr() error {
	links := []string{"bin", "lib", "sbin"}
	if s.in.Platform.Arch() == "amd64" {
		links = append(links, "lib64")
	}
	for _, name := range links {
		n, err := s.v.find("/"+name, false)
		switch {
		case err == nil && n.kind == tarball.Symlink && n.link == "usr/"+name:
			continue
		case err == nil:
			return fmt.Errorf("merge /usr: /%s is there and no link to usr/%s", name, name)
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
		if err := s.v.mkdirAll("/usr/"+name, 0o755); err != nil {
			return err
		}
		if err := s.v.symlink("usr/"+name, "/"+name, false); err != nil {
			return err
		}
	}
	return nil
}

// masterTables copies the users and groups of base-passwd, which every other
// package may count on.
func (s *session) masterTables() error {
	for _, t := range []string{"passwd", "group"} {
		master, err := s.v.readFile("/usr/share/base-passwd/" + t + ".master")
		if err != nil || s.v.exists("/etc/"+t) {
			continue
		}
		if err := s.v.install("/etc/"+t, master, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// after makes what no package's script makes, and what is made once, last.
func (s *session) after(ctx context.Context) error {
	for _, f := range []struct{ path, text string }{
		{"etc/hostname", "localhost\n"},
		{"etc/hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"},
		{"etc/machine-id", ""}, // empty: a system that boots from it makes its own
		{"etc/resolv.conf", ""},
	} {
		if _, err := s.v.find("/"+f.path, false); err == nil {
			continue
		}
		if err := s.v.install("/"+f.path, []byte(f.text), 0o644); err != nil {
			return err
		}
	}
	if err := s.dropEmptyCaches(); err != nil {
		return err
	}
	if err := s.writeLdCache(ctx); err != nil {
		return fmt.Errorf("write ld.so.cache: %w", err)
	}
	if err := s.writeAlternatives(); err != nil {
		return err
	}
	if err := s.writeDatabase(); err != nil {
		return err
	}
	return s.emptyTmp()
}

// dropEmptyCaches removes the files into which scripts redirect the output of
// cache builders, which are left out: an empty cache says that nothing is
// installed, none lets the library look.
func (s *session) dropEmptyCaches() error {
	lib := path.Join("/usr/lib", s.in.Platform.Triplet())
	for _, dir := range []string{"gdk-pixbuf-2.0/2.10.0/loaders.cache", "gtk-3.0/3.0.0/immodules.cache", "gtk-2.0/2.10.0/immodules.cache"} {
		file := path.Join(lib, dir)
		if n, err := s.v.find(file, false); err == nil && n.kind == tarball.File && n.size() == 0 {
			if err := s.v.remove(file, false); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeDatabase saves diversions and overrides where dpkg looks for them.
func (s *session) writeDatabase() error {
	var b strings.Builder
	for _, d := range s.diversions {
		owner := d.pkg
		if owner == "LOCAL" {
			owner = ":"
		}
		b.WriteString(d.from + "\n" + d.to + "\n" + owner + "\n")
	}
	if b.Len() > 0 {
		if err := s.v.install(dpkgDir+"diversions", []byte(b.String()), 0o644); err != nil {
			return err
		}
	}
	b.Reset()
	for _, o := range s.overrides {
		b.WriteString(o.user + " " + o.group + " " + o.mode + " " + o.path + "\n")
	}
	if b.Len() == 0 {
		return nil
	}
	return s.v.install(dpkgDir+"statoverride", []byte(b.String()), 0o644)
}

// emptyTmp removes what scripts left in /tmp.
func (s *session) emptyTmp() error {
	names, err := s.v.list("/tmp")
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, packaged := s.v.before[path.Join("tmp", name)]; packaged {
			continue
		}
		if err := s.v.remove("/tmp/"+name, true); err != nil {
			return err
		}
	}
	return nil
}

// cmdNoServices answers for systemctl: nothing is running, nothing is known.
func cmdNoServices(_ context.Context, c *call) int {
	c.ignore("systemctl", "no service manager runs in a build environment")
	return 1
}

// cmdPerl answers the one thing scripts ask of perl that needs no Perl:
// whether it is there.
func cmdPerl(_ context.Context, c *call) int {
	if len(c.args) >= 2 && c.args[0] == "-e" && strings.TrimSpace(strings.Trim(c.args[1], "; 1")) == "" {
		return status(c.lookPath("perl", c.env("PATH")) != "")
	}
	c.unknown("perl")
	return 127
}
