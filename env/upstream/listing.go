package upstream

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/opencontainers/go-digest"
)

const (
	maxChecksums = 1 << 20
	maxBuilds    = 16 << 20
)

var checksumForm = regexp.MustCompile(`^([0-9a-fA-F]{64})(?:(?: [ *]?)([^\s]+))?$`)

// checksumOf finds the sha256 of a file in a list as sha256sum writes it, or as
// OpenSSL does: the sum alone. "" if the list names other files only.
func checksumOf(data []byte, file string) (digest.Digest, error) {
	var found digest.Digest
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	for _, line := range lines {
		m := checksumForm.FindStringSubmatch(strings.TrimRight(line, " \r"))
		if m == nil {
			return "", fmt.Errorf("%.100q is no line of a list of sha256 sums", line)
		}
		if m[2] == "" && len(lines) > 1 {
			return "", fmt.Errorf("%.100q names no file", line)
		}
		if m[2] != "" && path.Base(m[2]) != file {
			continue
		}
		sum := digest.NewDigestFromEncoded(digest.SHA256, strings.ToLower(m[1]))
		if found != "" && found != sum {
			return "", fmt.Errorf("the list has two sums of %s", file)
		}
		found = sum
	}
	return found, nil
}

// parseBuilds reads what builds.hex.pm says of a tool: for each tag that it
// built, the commit. A line is a name, the commit, a time and the sha256 of the
// build, which is of no use for the source.
func parseBuilds(data []byte) (map[string]string, error) {
	if len(data) == 0 || data[len(data)-1] != '\n' {
		return nil, errors.New("the list is cut short")
	}
	tags := make(map[string]string)
	for line := range bytes.Lines(data) {
		fields := strings.Fields(string(line))
		if len(fields) == 0 {
			continue
		}
		// The oldest lines have no time, and some no sum.
		if len(fields) < 2 || len(fields) > 4 {
			return nil, fmt.Errorf("%.100q is no line of a list of builds", line)
		}
		if !isCommit(fields[1]) {
			continue // a branch that could not be resolved
		}
		if len(tags) == maxTags {
			return nil, fmt.Errorf("the list has more than %d lines", maxTags)
		}
		tags[fields[0]] = fields[1]
	}
	return tags, nil
}
