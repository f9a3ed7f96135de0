package inside

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// The first descriptor number of each kind of host directory; see openHost.
const (
	firstFD = 100
	upperFD = 90
)

// Directories of the stage.
const (
	stageRoot   = "root"   // where the new root file system is attached
	stageLegacy = "legacy" // where kernels without lowerdir+ put overlays
	stageProc   = "proc"   // constant files, and an empty file and directory
)

// Sizes of the memory file systems; constants, since df shows them.
const (
	tmpfsSize   = "8g"
	tmpfsInodes = "1048576"
	shmSize     = "1g"
)

// view is the file system of one run while it is being built. Everything is
// attached below a private memory file system, the stage, and reached by
// descriptors only, so no path of the host has to exist for it.
type view struct {
	stage int // the root of the stage
	root  int // the root of the program's file system, once attached
	made  int // how many scratch directories exist
	pids  int // the kernel's file for the last process number, or -1

	legacy bool // no lowerdir+
}

// buildView makes the whole file system of s and moves the process into it.
// It returns an open file through which firstPID can be set.
func buildView(s *Spec) (pids int, err error) {
	// Mount events of the host must not come in while paths are resolved.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return -1, lacking(err, "", "make mounts private")
	}
	stage, err := newStage()
	if err != nil {
		return -1, lacking(err, "", "mount tmpfs")
	}
	v := &view{stage: stage, root: -1, pids: -1, legacy: s.Legacy || !LowerdirPlus()}
	steps := []func(*Spec) error{v.mountRoot, v.mountProc, v.mountDev, v.mountRest, v.enter}
	for _, step := range steps {
		if err := step(s); err != nil {
			return -1, err
		}
	}
	return v.pids, nil
}

// newStage attaches the stage over /, where path look-ups do not see it but
// the kernel counts it as mounted, as it demands of what overlays use.
func newStage() (int, error) {
	fd, err := newMount("tmpfs", attrInert, option{"mode", "0755"})
	if err != nil {
		return -1, err
	}
	if err := unix.MoveMount(fd, "", unix.AT_FDCWD, "/", unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return -1, err
	}
	for _, name := range []string{stageRoot, stageLegacy, stageProc} {
		if err := unix.Mkdirat(fd, name, 0o755); err != nil {
			return -1, err
		}
	}
	return fd, nil
}

// scratch makes an empty directory on the stage and opens it at descriptor
// first or the next free one.
func (v *view) scratch(first int) (int, error) {
	v.made++
	name := fmt.Sprintf("scratch%d", v.made)
	if err := unix.Mkdirat(v.stage, name, 0o755); err != nil {
		return -1, err
	}
	return openHost(fdPath(v.stage)+"/"+name, unix.O_DIRECTORY, first)
}

// mountRoot attaches the root file system, complete with mount points.
func (v *view) mountRoot(s *Spec) error {
	lowers, err := openLowers(s.Root)
	defer closeAll(lowers)
	if err != nil {
		return err
	}
	points, err := rootPoints(s)
	if err != nil {
		return err
	}
	l := layers{lowers: lowers, upper: -1, temp: -1, attrs: attrReadOnly}
	if s.Scratch {
		l.attrs = attrInert
		if l.upper, err = v.scratch(upperFD); err == nil {
			l.temp, err = v.scratch(upperFD)
		}
		if err != nil {
			return lacking(err, "", "make scratch directory")
		}
		defer closeAll([]int{l.upper, l.temp})
	}
	fd, err := v.mountTree(l, points)
	if err != nil {
		return err
	}
	at, err := unix.Openat(v.stage, stageRoot, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return lacking(err, "", "open stage")
	}
	defer unix.Close(at)
	v.root = fd
	return lacking(unix.MoveMount(fd, "", at, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH), "", "attach root")
}

// rootPoints lists the mount points which the root file system must have.
// Those below Work.Path are the work tree's.
func rootPoints(s *Spec) ([]point, error) {
	points := []point{{"/proc", true}, {"/dev", true}}
	rest, err := mounts(s)
	if err != nil {
		return nil, err
	}
	for _, m := range rest {
		if s.Work == nil || !strings.HasPrefix(m.path, string(s.Work.Path)+"/") {
			points = append(points, m.point)
		}
	}
	return points, nil
}

// mountTree makes the mount for l, with points in it.
func (v *view) mountTree(l layers, points []point) (int, error) {
	plain := layers{lowers: l.lowers, upper: -1, temp: -1, attrs: attrReadOnly}
	probe, lacks := -1, points
	if len(points) > 0 && len(l.lowers) > 0 {
		probe = l.lowers[0]
		if len(l.lowers) > 1 {
			fd, err := v.mountOverlay(plain)
			if err != nil {
				return -1, lacking(err, "", "mount overlay")
			}
			if probe = fd; l.writable() {
				defer unix.Close(fd)
			}
		}
		var err error
		if lacks, err = missing(probe, points); err != nil {
			return -1, err
		}
		if len(lacks) == 0 && len(l.lowers) > 1 && !l.writable() {
			return probe, nil
		}
	}
	if len(lacks) > 0 {
		skel, err := v.scratch(firstFD - 1)
		if err != nil {
			return -1, lacking(err, "", "make scratch directory")
		}
		defer unix.Close(skel)
		if err := skeleton(skel, probe, lacks); err != nil {
			return -1, err
		}
		l.lowers = slices.Insert(slices.Clone(l.lowers), 0, skel)
	}
	if len(l.lowers) == 1 && !l.writable() {
		fd, err := cloneMount(l.lowers[0], "", attrReadOnly)
		return fd, lacking(err, "", "bind root read-only")
	}
	fd, err := v.mountOverlay(l)
	return fd, lacking(err, "", "mount overlay")
}

func openLowers(dirs []Text) ([]int, error) {
	var fds []int
	for _, d := range dirs {
		fd, err := openHost(string(d), unix.O_DIRECTORY, firstFD)
		if err != nil {
			return fds, hostPathFault(err, d)
		}
		fds = append(fds, fd)
	}
	return fds, nil
}

// hostPathFault explains the one surprise about host paths: root in a user
// namespace of one id is not root where others' directories forbid passage.
func hostPathFault(err error, p Text) error {
	if errors.Is(err, unix.EACCES) {
		return lacking(err, "run as the owner of the store, or let others pass its parent directories: chmod o+x DIR", "open %s", p)
	}
	return asked(err, "open %s", p)
}

// mounted is what goes onto one point besides /proc and /dev.
type mounted struct {
	point
	open func(*view, *Spec) (int, error)
}

// mounts lists the work tree, the memory file systems and the binds, outer
// ones first.
func mounts(s *Spec) ([]mounted, error) {
	var out []mounted
	if s.Work != nil {
		out = append(out, mounted{point{string(s.Work.Path), true}, (*view).openWork})
	}
	for _, t := range s.Tmpfs {
		mode := "0755"
		if t == "/tmp" {
			mode = "1777"
		}
		out = append(out, mounted{point{string(t), true}, func(*view, *Spec) (int, error) {
			return openTmpfs(mode, tmpfsSize)
		}})
	}
	for _, b := range s.Binds {
		var st unix.Stat_t
		if err := unix.Stat(string(b.Source), &st); err != nil {
			return nil, hostPathFault(err, b.Source)
		}
		kind := st.Mode & unix.S_IFMT
		if kind != unix.S_IFDIR && kind != unix.S_IFREG {
			return nil, asked(errors.New("neither a file nor a directory"), "bind %s", b.Source)
		}
		out = append(out, mounted{point{string(b.Target), kind == unix.S_IFDIR}, func(*view, *Spec) (int, error) {
			fd, err := cloneMount(unix.AT_FDCWD, string(b.Source), attrReadOnly)
			if err != nil {
				return -1, hostPathFault(err, b.Source)
			}
			return fd, nil
		}})
	}
	slices.SortFunc(out, func(a, b mounted) int { return strings.Compare(a.path, b.path) })
	return out, nil
}

func openTmpfs(mode, size string) (int, error) {
	fd, err := newMount("tmpfs", attrInert, option{"mode", mode}, option{"size", size}, option{"nr_inodes", tmpfsInodes})
	return fd, lacking(err, "", "mount tmpfs")
}

// openWork makes the work tree: an overlay, or the upper directory itself if
// there is nothing below it.
func (v *view) openWork(s *Spec) (int, error) {
	l := layers{attrs: attrInert, upper: -1, temp: -1}
	var err error
	if l.lowers, err = openLowers(s.Work.Lowers); err != nil {
		return -1, err
	}
	defer closeAll(l.lowers)
	if l.upper, err = openHost(string(s.Work.Upper), unix.O_DIRECTORY, upperFD); err != nil {
		return -1, hostPathFault(err, s.Work.Upper)
	}
	defer unix.Close(l.upper)
	if l.temp, err = openHost(string(s.Work.Tmp), unix.O_DIRECTORY, upperFD); err != nil {
		return -1, hostPathFault(err, s.Work.Tmp)
	}
	defer unix.Close(l.temp)
	points, err := workPoints(s)
	if err != nil {
		return -1, err
	}
	if len(l.lowers) == 0 && len(points) == 0 {
		fd, err := cloneMount(l.upper, "", attrInert)
		return fd, lacking(err, "", "bind work directory")
	}
	return v.mountTree(l, points)
}

// workPoints lists the mount points inside the work tree.
func workPoints(s *Spec) ([]point, error) {
	rest, err := mounts(s)
	if err != nil {
		return nil, err
	}
	var points []point
	for _, m := range rest {
		if rel, ok := strings.CutPrefix(m.path, string(s.Work.Path)+"/"); ok {
			points = append(points, point{path.Join("/", rel), m.dir})
		}
	}
	return points, nil
}

// mountRest attaches everything but /proc and /dev.
func (v *view) mountRest(s *Spec) error {
	rest, err := mounts(s)
	if err != nil {
		return err
	}
	for _, m := range rest {
		fd, err := m.open(v, s)
		if err != nil {
			return err
		}
		if err := attach(fd, v.root, m.path); err != nil {
			return lacking(err, "", "mount %s", m.path)
		}
	}
	return nil
}

// enter makes the view the root and lets go of the host's.
func (v *view) enter(*Spec) error {
	if err := unix.Fchdir(v.root); err != nil {
		return lacking(err, "", "enter root")
	}
	// With the old root stacked on the new one no directory is needed for it.
	if err := unix.PivotRoot(".", "."); err != nil {
		return lacking(err, "start retort outside of a chroot and not from an initramfs", "pivot root")
	}
	// Two mounts lie on the new root now: the old one, and on that the stage.
	for range 2 {
		if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
			return lacking(err, "", "detach old root")
		}
	}
	if err := unix.Chdir("/"); err != nil {
		return lacking(err, "", "enter root")
	}
	if err := errors.Join(unix.Close(v.root), unix.Close(v.stage)); err != nil {
		return lacking(err, "", "close stage")
	}
	return lacking(checkMounts(), "", "check mounts")
}

// checkMounts makes sure that nothing of the host is left under the new root:
// the old root and all below it went in one piece, and / has one mount.
func checkMounts() error {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	roots := 0
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		if len(fields) > 4 && fields[4] == "/" {
			roots++
		}
	}
	if roots != 1 {
		return fmt.Errorf("%d mounts at /, want 1", roots)
	}
	return nil
}
