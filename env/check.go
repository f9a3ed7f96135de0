package env

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/opencontainers/go-digest"
)

// The forms of names and versions, each with the authority it follows.
var (
	debianPackageForm = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]{1,127}$`) // Debian Policy 5.6.1
	versionForm       = regexp.MustCompile(`^[0-9][0-9A-Za-z.+~-]{0,63}$`)
	semverForm        = regexp.MustCompile(`^(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})` +
		`(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$`) // semver.org
	suiteForm      = regexp.MustCompile(`^[a-z][a-z0-9-]{0,63}$`)
	appForm        = regexp.MustCompile(`^[a-z][A-Za-z0-9_]{0,127}$`)
	lowerForm      = regexp.MustCompile(`^[a-z][a-z0-9_]{0,127}$`)
	targetForm     = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,63}$`)
	hexRepoForm    = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,63}(:[a-z0-9][a-z0-9_.-]{0,63})?$`)
	envNameForm    = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)
	releaseForm    = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z.+~_-]{0,127}$`)
	archiveForm    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+~-]{0,199}\.(tar\.gz|tgz|tar\.xz|zip)$`) // as tools put names together
	sourceForm     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+~-]{0,199}\.(tar\.(gz|xz)|tgz)$`)
	repositoryForm = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?/)?` +
		`[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`) // OCI distribution-spec
)

// maxText bounds every string of a manifest.
const maxText = 4096

func matches(form *regexp.Regexp, want string) func(string) (string, error) {
	return func(s string) (string, error) {
		if len(s) > maxText || !form.MatchString(s) {
			return "", fmt.Errorf("%s: want %s", quote(s), want)
		}
		return s, nil
	}
}

// quote shows a foreign string, cut where it stops being of use.
func quote(s string) string {
	if len(s) <= 80 {
		return strconv.Quote(s)
	}
	return strconv.Quote(s[:80]) + "..."
}

func oneOf(values ...string) func(string) (string, error) {
	return func(s string) (string, error) {
		if !slices.Contains(values, s) {
			return "", fmt.Errorf("%s: want %s", quote(s), strings.Join(values, " or "))
		}
		return s, nil
	}
}

// problem is what a check has against a string.
func problem(check func(string) (string, error), s string) error {
	_, err := check(s)
	return err
}

func checkDebianPackage(s string) (string, error) {
	return matches(debianPackageForm, "the name of a Debian package, such as libssl-dev")(s)
}

func checkVersion(s string) (string, error) {
	return matches(versionForm, "an exact version, such as 27.3.4.1")(s)
}

func checkSemver(s string) (string, error) {
	return matches(semverForm, "an exact version of three numbers, such as 1.15.0")(s)
}

func checkSuite(s string) (string, error) {
	return matches(suiteForm, "lower-case letters, digits and dashes, such as trixie")(s)
}

func checkMixEnv(s string) (string, error) {
	return matches(lowerForm, "lower-case letters, digits and underscores, such as prod")(s)
}

func checkReleaseName(s string) (string, error) {
	return matches(lowerForm, "the name of a release, such as my_app")(s)
}

func checkReleaseVersion(s string) (string, error) {
	return matches(releaseForm, "letters, digits and . + ~ _ -, such as 1.4.0")(s)
}

func checkRepository(s string) (string, error) {
	if len(s) > 255 || !repositoryForm.MatchString(s) {
		return "", fmt.Errorf("%s: want a repository without tag or digest, such as registry.example/shop", quote(s))
	}
	return s, nil
}

func checkEnvName(s string) (string, error) {
	return matches(envNameForm, "the name of an environment variable")(s)
}

func checkTarget(s string) error {
	return problem(matches(targetForm, "a target's name, such as staging"), s)
}

func checkApp(s string) error {
	return problem(matches(appForm, "the name of a dependency, such as exqlite"), s)
}

func checkAppName(s string) (string, error) { return s, checkApp(s) }

func checkHexPackage(s string) error {
	return problem(matches(appForm, "the name of a Hex package, such as pc"), s)
}

func checkGenerate(s string) error {
	return problem(matches(targetForm, "a name such as configure"), s)
}

func checkTool(s string) error {
	return problem(matches(targetForm, "the name of a tool, such as esbuild"), s)
}

// checkCommand keeps a command of the shell, which may have several lines.
func checkCommand(s string) (string, error) {
	if strings.TrimSpace(s) == "" {
		return "", errors.New("empty: want a command of the shell")
	}
	if _, err := checkText(strings.NewReplacer("\n", " ", "\t", " ").Replace(s)); err != nil {
		return "", err
	}
	return s, nil
}

// checkPattern keeps a pattern of files below the project's folder.
func checkPattern(s string) (string, error) {
	if _, err := checkProjectFile(s); err != nil {
		return "", fmt.Errorf("%s: want a pattern of the project's files, such as m4/**", quote(s))
	}
	if _, err := path.Match(s, ""); err != nil {
		return "", fmt.Errorf("%s: bracket without an end", quote(s))
	}
	return s, nil
}

// checkOutput keeps a path below the project's folder that a program may make.
func checkOutput(s string) (string, error) {
	if _, err := checkProjectFile(s); err != nil {
		return "", fmt.Errorf("%s: want a file or folder below the project's folder, such as priv/static", quote(s))
	}
	first, _, _ := strings.Cut(s, "/")
	switch first {
	case "_build", "deps", ".git", ".retort":
		return "", fmt.Errorf("%s: what lies in %s is made by other steps", quote(s), first)
	case "mix.lock", "toolchain.toml", "toolchain.lock":
		return "", fmt.Errorf("%s: is read before anything runs, and cannot be generated", quote(s))
	}
	return s, nil
}

// checkPlace keeps a place in which source releases are looked for.
func checkPlace(s string) (string, error) {
	suite, ok := strings.CutPrefix(s, PlaceDebian+":")
	if s == PlaceUpstream || s == PlaceDebian || ok && suiteForm.MatchString(suite) {
		return s, nil
	}
	return "", fmt.Errorf("%s: want upstream, debian or a suite of it, such as debian:forky", quote(s))
}

func checkSourceURL(s string) (string, error) {
	u, err := checkURL(s)
	if err == nil && (u != s || !sourceForm.MatchString(path.Base(s))) {
		err = fmt.Errorf("%s: want the address of a .tar.gz or .tar.xz", quote(s))
	}
	return s, err
}

// checkFilePattern keeps a pattern of files relative to the manifest's folder.
func checkFilePattern(s string) (string, error) {
	if _, err := checkFile(s); err != nil {
		return "", err
	}
	if _, err := path.Match(s, ""); err != nil {
		return "", fmt.Errorf("%s: bracket without an end", quote(s))
	}
	return s, nil
}

func checkOption(s string) (string, error) {
	if s == "" {
		return "", errors.New("empty: want an option, such as --disable-jit")
	}
	return checkFlags(s)
}

// checkFlags refuses what makes code for the machine that compiles.
func checkFlags(s string) (string, error) {
	for _, flag := range strings.Fields(s) {
		if strings.HasPrefix(flag, "-m") && strings.HasSuffix(flag, "=native") {
			return "", fmt.Errorf("%s: its result depends on the machine that compiles: name a processor, such as -march=x86-64-v3", quote(flag))
		}
	}
	return checkText(s)
}

func checkHexRepo(s string) error {
	return problem(matches(hexRepoForm, "the name of a Hex repository, such as acme or hexpm:acme"), s)
}

func checkNIFEnv(s string) error {
	return problem(matches(envNameForm, "the name of an environment variable"), s)
}

func checkImageEnv(s string) error {
	// An image is public to all who may pull it.
	if s == "RELEASE_COOKIE" {
		return errors.New("a cookie is a secret and cannot be part of an image; set it where the container runs")
	}
	return problem(checkEnvName, s)
}

func checkLabel(s string) error {
	if s == "" || len(s) > 256 || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Errorf("%s: want a label of printable ASCII without spaces", quote(s))
	}
	return nil
}

func checkPlatform(s string) (string, error) {
	p, err := ParsePlatform(s)
	if err != nil {
		return "", fmt.Errorf("%s: want linux/amd64 or linux/arm64", quote(s))
	}
	return string(p), nil
}

func checkDate(s string) (string, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil || t.Year() < 2005 { // snapshot.debian.org begins in March 2005
		return "", fmt.Errorf("%s: want a day as YYYY-MM-DD, from 2005 on", quote(s))
	}
	return s, nil
}

func checkURL(s string) (string, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil || len(s) > 2048 || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		// The URL may carry a password: it is not repeated.
		return "", errors.New("want a URL that begins with https:// or http://")
	case u.User != nil:
		return "", errors.New("URL holds a user or password: name the variable that holds the key in auth_env")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", errors.New("URL has a query or fragment")
	}
	return strings.TrimRight(s, "/"), nil
}

func checkArchiveURL(s string) (string, error) {
	s, err := checkURL(s)
	if err == nil && !archiveForm.MatchString(path.Base(s)) {
		err = fmt.Errorf("%s: want the address of an archive, which ends in its name", quote(s))
	}
	return s, err
}

// checkSHA256 takes a digest as tools print it and as checksum.exs has it.
func checkSHA256(s string) (string, error) {
	hex := strings.TrimPrefix(s, "sha256:")
	if digest.NewDigestFromEncoded(digest.SHA256, hex).Validate() != nil {
		return "", fmt.Errorf("%s: want 64 hexadecimal digits", quote(s))
	}
	return hex, nil
}

func checkText(s string) (string, error) {
	if len(s) > maxText {
		return "", fmt.Errorf("longer than %d bytes", maxText)
	}
	if !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		return "", fmt.Errorf("%s: control character", quote(s))
	}
	return s, nil
}

func checkPort(s string) (string, error) {
	num, proto, ok := strings.Cut(s, "/")
	if !ok {
		proto = "tcp"
	}
	n, err := strconv.ParseUint(num, 10, 16)
	if err != nil || n == 0 || num[0] == '0' || !slices.Contains([]string{"tcp", "udp", "sctp"}, proto) {
		return "", fmt.Errorf("%s: want a port from 1 to 65535 with tcp, udp or sctp, such as 4000/tcp", quote(s))
	}
	return num + "/" + proto, nil
}

// checkUser keeps uid:gid. A user without a group gets the group of the same
// number, because the default of a container runtime is the group root.
func checkUser(s string) (string, error) {
	uid, gid, ok := strings.Cut(s, ":")
	if !ok {
		gid = uid
	}
	u, err1 := parseID(uid)
	g, err2 := parseID(gid)
	if err1 != nil || err2 != nil {
		return "", fmt.Errorf("%s: want numbers as uid or uid:gid, such as 65532:65532", quote(s))
	}
	return User{UID: u, GID: g}.String(), nil
}

func parseID(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	// The highest number means "no change" to chown and setuid.
	if err != nil || n >= 1<<32-1 || (len(s) > 1 && s[0] == '0') {
		return 0, errors.New("not an id")
	}
	return uint32(n), nil
}

func checkVolume(s string) (string, error) {
	if _, err := checkText(s); err != nil || !path.IsAbs(s) || path.Clean(s) != s || s == "/" {
		return "", fmt.Errorf("%s: want a clean absolute path below /, such as /data", quote(s))
	}
	return s, nil
}

// checkFile keeps a path that a manifest names, relative to its folder.
func checkFile(s string) (string, error) {
	if _, err := checkText(s); err != nil || s == "" || path.IsAbs(s) || strings.Contains(s, `\`) || strings.HasSuffix(s, "/") {
		return "", fmt.Errorf("%s: want a file relative to the manifest's folder", quote(s))
	}
	return s, nil
}

// checkProjectFile keeps a path below the project's folder.
func checkProjectFile(s string) (string, error) {
	if _, err := checkFile(s); err != nil || path.Clean(s) != s || s == "." || s == ".." || strings.HasPrefix(s, "../") {
		return "", fmt.Errorf("%s: want a file below the project's folder, such as VERSION", quote(s))
	}
	return s, nil
}

// checkAuthFile keeps the path of a file with a key. It is no path of the
// project, where it would soon be committed.
func checkAuthFile(s string) (string, error) {
	rest, home := strings.CutPrefix(s, "~/")
	if _, err := checkText(s); err != nil || !home && !path.IsAbs(s) || strings.HasSuffix(s, "/") || home && (path.IsAbs(rest) || rest == "") {
		return "", fmt.Errorf("%s: want an absolute path or one below ~/, such as ~/.config/acme.key", quote(s))
	}
	return s, nil
}

func checkSignal(s string) (string, error) {
	known := []string{"SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGKILL"}
	return oneOf(known...)(s)
}
