package upstream

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

const (
	// maxRefs bounds a repository's list of refs. GitHub's includes two for each
	// pull request, which makes that of openssl/openssl some 4 MB.
	maxRefs = 64 << 20
	maxTags = 100_000
	tagRoot = "refs/tags/"
)

// parseRefs reads the tags of a repository, and the commit that each points at,
// out of what a git server answers at info/refs: lines as the protocol's version
// 0 or 1 frames them, or the plain file that git update-server-info writes.
func parseRefs(data []byte) (map[string]string, error) {
	if !bytes.Contains(data[:min(len(data), 64)], []byte("# service=git-upload-pack")) {
		return parsePlainRefs(data)
	}
	rest := data
	line, flush, err := nextPacket(&rest)
	if err != nil {
		return nil, err
	}
	if flush || strings.TrimSuffix(line, "\n") != "# service=git-upload-pack" {
		return nil, fmt.Errorf("the answer begins with %.60q", line)
	}
	if _, flush, err = nextPacket(&rest); err != nil {
		return nil, err
	} else if !flush {
		return nil, errors.New("the answer's heading does not end")
	}
	tags := make(map[string]string)
	for {
		line, flush, err := nextPacket(&rest)
		if err != nil {
			return nil, err
		}
		if flush {
			if len(rest) > 0 {
				return nil, fmt.Errorf("%d bytes follow the list", len(rest))
			}
			return tags, nil
		}
		if reason, ok := strings.CutPrefix(line, "ERR "); ok {
			return nil, fmt.Errorf("the server says %.200q", strings.TrimSpace(reason))
		}
		line, _, _ = strings.Cut(line, "\x00") // capabilities follow
		line = strings.TrimSuffix(line, "\n")
		if line == "version 1" || strings.HasPrefix(line, "shallow ") {
			continue
		}
		if err := addRef(tags, line, " "); err != nil {
			return nil, err
		}
	}
}

// nextPacket takes one line off data: four hexadecimal digits of its length,
// themselves included; a length of 0 is a flush.
func nextPacket(data *[]byte) (line string, flush bool, err error) {
	const digits = 4
	d := *data
	if len(d) < digits {
		return "", false, errors.New("the list is cut short")
	}
	n, err := strconv.ParseUint(string(d[:digits]), 16, 16)
	if err != nil {
		return "", false, fmt.Errorf("%.8q is not the length of a line", d[:digits])
	}
	switch {
	case n == 0:
		*data = d[digits:]
		return "", true, nil
	case n < digits:
		return "", false, fmt.Errorf("a line has the length %d", n)
	case int(n) > len(d):
		return "", false, errors.New("the list is cut short")
	}
	*data = d[n:]
	return string(d[digits:n]), false, nil
}

func parsePlainRefs(data []byte) (map[string]string, error) {
	if len(data) > 0 && data[len(data)-1] != '\n' {
		return nil, errors.New("the list is cut short, or none of a git server")
	}
	tags := make(map[string]string)
	for line := range strings.Lines(string(data)) {
		if err := addRef(tags, strings.TrimSuffix(line, "\n"), "\t"); err != nil {
			return nil, err
		}
	}
	return tags, nil
}

// addRef takes a line of a list. A tag with a message is followed by a line with
// the commit that it is for, which has ^{} behind the name.
func addRef(tags map[string]string, line, separator string) error {
	id, name, ok := strings.Cut(line, separator)
	if !ok || !isCommit(id) {
		return fmt.Errorf("%.80q is no line of a git server's list", line)
	}
	tag, ok := strings.CutPrefix(name, tagRoot)
	if !ok {
		return nil
	}
	peeled, isPeeled := strings.CutSuffix(tag, "^{}")
	if _, twice := tags[tag]; twice && !isPeeled {
		return fmt.Errorf("the list has the tag %.80q twice", tag)
	}
	if _, before := tags[peeled]; isPeeled && !before {
		return fmt.Errorf("the list has %.80q without the tag itself", tag)
	}
	if len(tags) == maxTags {
		return fmt.Errorf("the list has more than %d tags", maxTags)
	}
	tags[peeled] = id
	return nil
}

// isCommit says whether s is the name of a commit: a sha1, or a sha256.
func isCommit(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil && (len(s) == 40 || len(s) == 64) && s == strings.ToLower(s)
}
