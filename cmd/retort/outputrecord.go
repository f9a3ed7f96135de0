package main

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"syscall"

	"github.com/opencontainers/go-digest"
)

// An outputRecord remembers that the files in an output folder are the result
// of certain inputs, and how lstat saw them then. If both still hold, there is
// nothing to write.
type outputRecord struct {
	dir    string
	inputs digest.Digest
}

// savedOutputs is the content of a record.
type savedOutputs struct {
	Inputs  digest.Digest       `json:"inputs"`
	Outputs []outputFile        `json:"outputs"`
	Files   map[string][5]int64 `json:"files"` // path: size, mtime, ctime, inode, device
}

func (r outputRecord) file(home string) string {
	return filepath.Join(home, "outputs", digest.FromString(r.dir).Encoded()+"-"+r.inputs.Encoded()[:16]+".json")
}

func (r outputRecord) load(home string) ([]outputFile, bool) {
	if r.inputs == "" {
		return nil, false
	}
	data, err := os.ReadFile(r.file(home))
	if err != nil {
		return nil, false
	}
	var saved savedOutputs
	if json.Unmarshal(data, &saved) != nil || saved.Inputs != r.inputs || len(saved.Outputs) == 0 {
		return nil, false
	}
	now, err := stats(saved.Outputs)
	if err != nil || len(now) != len(saved.Files) {
		return nil, false
	}
	for path, want := range saved.Files {
		if now[path] != want {
			return nil, false
		}
	}
	return saved.Outputs, true
}

func (r outputRecord) save(home string, outputs []outputFile) error {
	if r.inputs == "" {
		return nil
	}
	files, err := stats(outputs)
	if err != nil {
		return err
	}
	data, err := json.Marshal(savedOutputs{r.inputs, outputs, files})
	if err != nil {
		return err
	}
	path := r.file(home)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := r.forget(path); err != nil {
		return err
	}
	return replaceFile(path, data)
}

// keepRecords is how many records one output folder has: a build to and fro
// between two commits or formats finds its files.
const keepRecords = 8

// forget removes the oldest records of the folder.
func (r outputRecord) forget(path string) error {
	old, err := filepath.Glob(filepath.Join(filepath.Dir(path), digest.FromString(r.dir).Encoded()+"-*.json"))
	if err != nil || len(old) < keepRecords {
		return err
	}
	age := func(p string) int64 {
		info, err := os.Lstat(p)
		if err != nil {
			return 0
		}
		return info.ModTime().UnixNano()
	}
	sort.Slice(old, func(i, j int) bool { return age(old[i]) < age(old[j]) })
	for _, p := range old[:len(old)-keepRecords+1] {
		if err := os.Remove(p); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	return nil
}

// stats lists every file of the outputs with what lstat says of it.
func stats(outputs []outputFile) (map[string][5]int64, error) {
	out := make(map[string][5]int64)
	for _, o := range outputs {
		err := filepath.WalkDir(o.Path, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			st, ok := info.Sys().(*syscall.Stat_t)
			if !ok {
				return fs.ErrInvalid
			}
			out[path] = [5]int64{info.Size(), st.Mtim.Nano(), st.Ctim.Nano(), int64(st.Ino), int64(st.Dev)}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}
