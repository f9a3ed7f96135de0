package registry

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"sort"
	"strings"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/internal/tarball"
)

// The user that the release runs as, and the last one, which owns nothing.
const (
	appUser = "app"
	appID   = 65532
	nobody  = 65534
	appHome = "/home/app"
)

// inetrc makes the VM resolve names by itself. Its default is a port program,
// inet_gethost, which it starts through /bin/sh.
const (
	inetrcPath = "etc/erl_inetrc"
	inetrc     = "{hosts_file, \"/etc/hosts\"}.\n{resolv_conf, \"/etc/resolv.conf\"}.\n{lookup, [file, dns]}.\n"
)

// skeleton is what an image has besides packages and the release: accounts,
// name service, the links of a merged /usr, and the writable directories.
func skeleton(p env.Platform, shell bool) (Tree, error) {
	text := func(path, content string) FileOf { return FileOf{plainFile(path), content} }
	dir := func(path string, mode uint32, id int) FileOf {
		return FileOf{Entry: tarball.Entry{Path: path, Kind: tarball.Dir, Mode: mode, UID: id, GID: id}}
	}
	login := "/usr/sbin/nologin"
	files := []FileOf{
		text("etc/passwd", fmt.Sprintf("root:x:0:0:root:/root:%[1]s\n%[2]s:x:%[3]d:%[3]d:%[2]s:%[4]s:%[1]s\nnobody:x:%[5]d:%[5]d:nobody:/nonexistent:%[1]s\n",
			login, appUser, appID, appHome, nobody)),
		text("etc/group", fmt.Sprintf("root:x:0:\n%s:x:%d:\nnogroup:x:%d:\n", appUser, appID, nobody)),
		// Docker, Podman and Kubernetes put their own over it; plain runc does not.
		text("etc/hosts", "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"),
		text("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\nnetworks: files\nprotocols: files\nservices: files\n"),
		dir("home/"+appUser, 0o700, appID),
		dir("root", 0o700, 0),
		dir("run", 0o755, 0),
		dir("tmp", 0o1777, 0),
		dir("usr/bin", 0o755, 0),
		dir("usr/lib", 0o755, 0),
		dir("usr/sbin", 0o755, 0),
		dir("var/tmp", 0o1777, 0),
	}
	for link, target := range mergedUsr(p) {
		files = append(files, FileOf{Entry: symlink(link, target)})
	}
	if p == env.LinuxAMD64 {
		files = append(files, dir("usr/lib64", 0o755, 0))
	}
	if !shell {
		files = append(files, text(inetrcPath, inetrc))
	}
	return Files(files...)
}

// mergedUsr is the links of the root directory into /usr, as base-files of a
// merged suite ships them.
func mergedUsr(p env.Platform) map[string]string {
	links := map[string]string{"bin": "usr/bin", "lib": "usr/lib", "sbin": "usr/sbin"}
	if p == env.LinuxAMD64 {
		links["lib64"] = "usr/lib64"
	}
	return links
}

func symlink(p, target string) tarball.Entry {
	return tarball.Entry{Path: p, Kind: tarball.Symlink, Mode: 0o777, Link: target}
}

// The place where OTP, OpenSSL and Go look for certificate authorities, and
// where ca-certificates has them one by one.
const (
	bundlePath   = "etc/ssl/certs/ca-certificates.crt"
	bundleSource = "usr/share/ca-certificates/"
)

// bundle is the certificates of package ca-certificates in one file, in the
// order and form of update-ca-certificates. Without the package it is empty.
func bundle(packages []Package) (Tree, error) {
	var pem bytes.Buffer
	for _, p := range packages {
		if p.Name != "ca-certificates" {
			continue
		}
		var names []string
		for _, e := range p.Tree.Entries() {
			if e.Kind == tarball.File && strings.HasPrefix(e.Path, bundleSource) && path.Ext(e.Path) == ".crt" {
				names = append(names, e.Path)
			}
		}
		sort.Strings(names)
		for _, name := range names {
			cert, err := readFile(p.Tree, name, maxScript)
			if err != nil {
				return nil, fmt.Errorf("bundle certificates: %w", err)
			}
			pem.Write(cert)
			if !bytes.HasSuffix(cert, []byte("\n")) {
				pem.WriteByte('\n')
			}
		}
		if pem.Len() == 0 {
			return nil, errors.New("bundle certificates: package ca-certificates has none")
		}
	}
	if pem.Len() == 0 {
		return Files()
	}
	return Files(FileOf{plainFile(bundlePath), pem.String()})
}
