package configure

// commands are the programs that maintainer scripts may call, by name.
func commands() map[string]command {
	return map[string]command{
		"cat": cmdCat, "tee": cmdTee, "head": cmdHead, "tail": cmdHead, "wc": cmdWc, "sort": cmdSort,
		"uniq": cmdUniq, "cut": cmdCut, "tr": cmdTr, "cmp": cmdCmp, "diff": cmdCmp,
		"md5sum": cmdSum, "sha1sum": cmdSum, "sha256sum": cmdSum, "sha512sum": cmdSum,
		"grep": cmdGrep, "egrep": cmdGrep, "fgrep": cmdGrep, "sed": cmdSed,
		"awk": cmdAwk, "mawk": cmdAwk, "gawk": cmdAwk,
		"mkdir": cmdMkdir, "rmdir": cmdRmdir, "rm": cmdRm, "unlink": cmdRm, "ln": cmdLn, "cp": cmdCp, "mv": cmdMv,
		"touch": cmdTouch, "chmod": cmdChmod, "chown": cmdChown, "chgrp": cmdChown,
		"mktemp": cmdMktemp, "tempfile": cmdMktemp, "install": cmdInstall,
		"basename": cmdBasename, "dirname": cmdDirname, "readlink": cmdReadlink, "realpath": cmdReadlink,
		"stat": cmdStat, "ls": cmdLs, "find": cmdFind, "which": cmdWhich, "xargs": cmdXargs,
		"run-parts": cmdRunParts, "getent": cmdGetent, "id": cmdID, "date": cmdDate, "uname": cmdUname,
		"expr": cmdExpr, "seq": cmdSeq, "true": cmdTrue, "false": cmdFalse, "sync": cmdTrue, "sleep": cmdTrue,
		"retort-lookup": cmdLookup, "retort-umask": cmdUmask, "retort-echo": cmdEcho,
		"retort-ignored": cmdBuiltinIgnored, "retort-debconf": cmdDebconf,

		"dpkg": cmdDpkg, "dpkg-query": cmdDpkgQuery, "dpkg-divert": cmdDpkgDivert,
		"dpkg-statoverride": cmdStatoverride, "dpkg-trigger": cmdDpkgTrigger,
		"dpkg-maintscript-helper": cmdMaintscriptHelper, "dpkg-realpath": cmdDpkgRealpath,
		"update-alternatives": cmdAlternatives,

		"adduser": cmdAdduser, "addgroup": cmdAdduser, "useradd": cmdUseradd, "groupadd": cmdGroupadd,
		"usermod": cmdUsermod, "gpasswd": cmdUsermod, "pwconv": cmdShadow, "grpconv": cmdShadow,
		"pwck": cmdTrue, "grpck": cmdTrue, "systemd-sysusers": cmdSysusers,

		"update-ca-certificates": cmdUpdateCertificates, "ldconfig": cmdLdconfig, "ischroot": cmdTrue,
		// Neither service manager nor other processes are there to be found.
		"pidof": cmdFalse, "mountpoint": cmdFalse, "pgrep": cmdFalse, "runlevel": cmdFalse, "systemctl": cmdNoServices,
		"policy-rc.d": cmdFalse, "perl": cmdPerl,
	}
}

// exclusive are the commands that read and change dpkg's or the users'
// databases. None of them runs another command.
var exclusive = map[string]bool{
	"dpkg-divert": true, "dpkg-statoverride": true, "update-alternatives": true, "retort-debconf": true,
	"adduser": true, "addgroup": true, "useradd": true, "groupadd": true, "usermod": true, "gpasswd": true,
	"pwconv": true, "grpconv": true, "systemd-sysusers": true,
}

// ignored are the programs left out on purpose, with the reason why a build
// environment does not miss what they do.
var ignored = map[string]string{
	"deb-systemd-helper":         "no service manager runs in a build environment",
	"deb-systemd-invoke":         "no service manager runs in a build environment",
	"invoke-rc.d":                "no service manager runs in a build environment",
	"update-rc.d":                "no service manager runs in a build environment",
	"service":                    "no service manager runs in a build environment",
	"systemd-tmpfiles":           "volatile files are made when a system boots",
	"systemd-machine-id-setup":   "a layer is no machine",
	"systemd-hwdb":               "a cache of hardware names; there is no hardware",
	"udevadm":                    "there is no hardware",
	"journalctl":                 "no journal runs in a build environment",
	"sysctl":                     "kernel settings belong to the host",
	"setcap":                     "layers carry no capabilities; the scripts fall back to set-user-id",
	"restorecon":                 "labels of SELinux belong to the host",
	"update-binfmts":             "kernel settings belong to the host",
	"dbus-uuidgen":               "a layer is no machine",
	"dbus-send":                  "no bus runs in a build environment",
	"nscd":                       "no name service cache runs in a build environment",
	"pam-auth-update":            "nobody logs in to a build environment",
	"update-passwd":              "the tables are the masters' copies already",
	"update-menus":               "no desktop",
	"update-desktop-database":    "no desktop",
	"update-icon-caches":         "no desktop",
	"gtk-update-icon-cache":      "no desktop",
	"update-mime-database":       "a cache for desktops",
	"update-mime":                "a cache for desktops",
	"gdk-pixbuf-query-loaders":   "a cache; the loaders that are built in need none",
	"gtk-query-immodules-3.0":    "a cache; input methods are for desktops",
	"glib-compile-schemas":       "a cache for desktops",
	"gio-querymodules":           "a cache; modules are found without it",
	"fc-cache":                   "a cache; fonts are found without it",
	"install-info":               "an index of manuals",
	"install-docs":               "an index of manuals",
	"mandb":                      "an index of manuals",
	"update-catalog":             "an index of SGML catalogs, which need SGML tools",
	"update-xmlcatalog":          "an index of XML catalogs, whose entities are found by path",
	"install-catalog":            "an index of SGML catalogs, which need SGML tools",
	"py3compile":                 "byte code is a cache",
	"py3clean":                   "byte code is a cache",
	"pycompile":                  "byte code is a cache",
	"pypy3compile":               "byte code is a cache",
	"emacs-package-install":      "byte code is a cache",
	"update-perl-sax-parsers":    "an index that parsers read only with libxml-sax-perl's scripts",
	"update-dictcommon-aspell":   "an index of dictionaries for editors",
	"update-dictcommon-hunspell": "an index of dictionaries for editors",
	"update-default-wordlist":    "an index of dictionaries for editors",
	"update-default-ispell":      "an index of dictionaries for editors",
	"aspell-autobuildhash":       "an index of dictionaries for editors",
	"ispell-autobuildhash":       "an index of dictionaries for editors",
	"locale-gen":                 "C.UTF-8 is the only locale of a build environment",
	"update-locale":              "C.UTF-8 is the only locale of a build environment",
	"update-initramfs":           "there is no kernel",
	"debconf":                    "every question keeps its default",
	"debconf-set-selections":     "every question keeps its default",
	"ucfr":                       "upgrades do not happen to a layer",
	"logger":                     "no log daemon runs in a build environment",
	"wall":                       "nobody is there to read it",
}
