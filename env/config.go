package env

import (
	"fmt"

	"github.com/opencontainers/go-digest"
)

// Config is what a manifest asks for on one platform and for one target: every
// override applied and every default filled in.
type Config struct {
	Platform  Platform
	Target    string // name of the target, or "" for none
	Cell      Cell   // of the matrix, or zero for none
	Method    string // how machines of another architecture build it, or "": nobody has said
	Toolchain Toolchain
	Base      Base
	Hex       Hex
	NIFs      []NIF      // sorted by Dep
	Deps      []Dep      // sorted by App
	Generate  []Generate // sorted by Name
	Assets    *Assets    // nil means none
	Release   Release
	Image     Image
}

// The values of Config.Method.
const (
	MethodCross   = "cross"   // with programs of their own
	MethodNative  = "native"  // not at all
	MethodEmulate = "emulate" // with every program under an emulator of the platform
)

// Base is the system which everything is built on.
type Base struct {
	Distribution string // "debian"
	Suite        string
	Snapshot     string   // YYYY-MM-DD, or "": as it stands when the lock is made
	Components   []string // in the manifest's order
	Packages     []string // extra system packages of the build environment
	AllowExpired []string // suites whose InRelease may be past its Valid-Until
	Keyring      string   // path of an OpenPGP keyring, joined to the manifest's folder, or ""
}

// Hex is where Hex packages come from besides the public repository.
type Hex struct {
	Repos   []HexRepo   // sorted by Name
	Plugins []HexPlugin // sorted by Name
}

// HexRepo is one Hex repository.
type HexRepo struct {
	Name      string // "acme", or "hexpm:acme" for an organisation
	URL       string // or "", which only hexpm and its organisations may have
	PublicKey string // path of a PEM file, joined to the manifest's folder, or ""
	AuthEnv   string // name of the environment variable that holds the key
	AuthFile  string // absolute path, or one below ~/, of a file that holds it, or ""
}

// HexPlugin is one rebar3 plugin that dependencies need to be built.
type HexPlugin struct {
	Name    string
	Version string // exact
}

// NIF is what the native code of one dependency needs from the system.
type NIF struct {
	Dep     string
	Build   []string // packages to compile it
	Runtime []string // packages to run it; nil means to be found from the ELF files
	Env     map[string]string
	// Method is how machines of another architecture compile it, MethodCross or
	// MethodEmulate; "" is as the platform is built.
	Method string
	// Precompiled is the archive that takes the place of compiling, or nil.
	Precompiled *Precompiled
}

// Precompiled is an archive of native code that the makers of a dependency
// compiled.
type Precompiled struct {
	URL    string // ends in the name by which the dependency asks for it
	Digest digest.Digest
}

// Dep is what a dependency's compilation sees besides what Mix says of it.
type Dep struct {
	App        string
	ConfigApps []string // applications whose compile-time configuration it reads
}

// Generate is commands that write part of the project's files before Mix is
// asked about it.
type Generate struct {
	Name     string
	Packages []string // system packages besides the toolchain and compilers
	Run      []string // shell commands
	Inputs   []string // patterns of the project's files; nil means all
	Outputs  []string // files and folders below the project's folder
}

// Release says which release is built and how.
type Release struct {
	Name      string // in mix.exs, or "" for the default one
	Version   Version
	MixEnv    string
	MixTarget string
	Config    []string // files below the project folder, merged over sys.config in this order
	VMArgs    string   // file below the project folder in place of vm.args, or ""
}

// Version says where the version of a release comes from.
type Version struct {
	From  VersionSource
	Value string // the version itself, if From is VersionLiteral
	Path  string // file below the project folder, if From is VersionFile
}

// VersionSource is a place that tells a version.
type VersionSource string

// The places that tell a version.
const (
	VersionLiteral VersionSource = "literal"
	VersionMix     VersionSource = "mix.exs"
	VersionGit     VersionSource = "git"
	VersionFile    VersionSource = "file"
)

// Image is what the image has besides the release.
type Image struct {
	Repository     string // reference without tag, or ""
	Ports          []string
	User           User
	Env            map[string]string
	Labels         map[string]string
	Volumes        []string
	Packages       []string // extra packages at run time
	Shell          bool
	CACertificates bool
	Timezones      bool
	Cmd            []string // nil means the release's own start
	StopSignal     string
}

// User is who runs the release.
type User struct {
	UID, GID uint32
}

func (u User) String() string { return fmt.Sprintf("%d:%d", u.UID, u.GID) }
