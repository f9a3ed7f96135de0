package tarball

import "github.com/opencontainers/go-digest"

// Kind is the type of a file system entry.
type Kind byte

// The kinds that a layer may hold. Devices, sockets and FIFOs are refused.
const (
	File     Kind = 'f'
	Dir      Kind = 'd'
	Symlink  Kind = 'l'
	Hardlink Kind = 'h' // Link names an earlier File of the same tree
)

// Entry is one normalised file of a tree. It carries no time: the writer gives
// every entry of a tree the same one.
type Entry struct {
	Path   string        `json:"p"`           // relative, clean, slash-separated; never "." or empty
	Kind   Kind          `json:"k"`           // what it is
	Mode   uint32        `json:"m"`           // permission bits, setuid, setgid and sticky: 0..07777; 0777 for symlinks
	UID    int           `json:"u,omitempty"` // numeric owner, as the layer's tar has it
	GID    int           `json:"g,omitempty"`
	Size   int64         `json:"s,omitempty"` // bytes, files only
	Digest digest.Digest `json:"d,omitempty"` // sha256 of the content, files only
	Link   string        `json:"l,omitempty"` // symlink target verbatim, or hardlink target path
	// Xattrs holds security.capability and user.* attributes, by name.
	Xattrs map[string]string `json:"x,omitempty"`
}
