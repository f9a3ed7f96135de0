package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// canonical encodes v with object keys in byte order and without white space,
// numbers as written and no HTML escapes.
func canonical(v any) ([]byte, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode JSON: %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(plain))
	dec.UseNumber()
	var generic any
	if err := dec.Decode(&generic); err != nil {
		return nil, fmt.Errorf("encode JSON: %w", err)
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(generic); err != nil {
		return nil, fmt.Errorf("encode JSON: %w", err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// Bounds on foreign JSON. Registries refuse manifests above 4 MiB.
const (
	maxDocument = 4 << 20
	maxDepth    = 32
)

// freeKeys are the fields whose object keys are the user's, not the format's.
var freeKeys = map[string]bool{"annotations": true, "Labels": true, "ExposedPorts": true, "Volumes": true}

// strict decodes data into v if every reader would understand it alike: valid
// UTF-8, one value, bounded depth, and no object with two keys that are equal
// or differ only in case, since encoding/json would let the last of them win.
// known are the exact spellings of the keys that v reads; a key which differs
// from one of them only in case is refused too.
func strict(data []byte, v any, known ...string) error {
	if len(data) > maxDocument {
		return fmt.Errorf("decode JSON: %d bytes are more than %d", len(data), maxDocument)
	}
	if !utf8.Valid(data) {
		return errors.New("decode JSON: not UTF-8")
	}
	spelling := make(map[string]string)
	for _, k := range known {
		spelling[strings.ToLower(k)] = k
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := checkValue(dec, spelling, 0); err != nil {
		return fmt.Errorf("decode JSON: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("decode JSON: more than one value")
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("decode JSON: %w", err)
	}
	return nil
}

func checkValue(dec *json.Decoder, spelling map[string]string, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("nested deeper than %d", maxDepth)
	}
	token, err := dec.Token()
	if err != nil {
		return err
	}
	switch token {
	case json.Delim('{'):
		return checkObject(dec, spelling, depth)
	case json.Delim('['):
		for dec.More() {
			if err := checkValue(dec, spelling, depth+1); err != nil {
				return err
			}
		}
		_, err := dec.Token()
		return err
	}
	return nil
}

func checkObject(dec *json.Decoder, spelling map[string]string, depth int) error {
	seen := make(map[string]bool)
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return err
		}
		key, ok := token.(string)
		if !ok {
			return fmt.Errorf("object key %v", token)
		}
		folded := key
		if spelling != nil {
			folded = strings.ToLower(key)
			if want, ok := spelling[folded]; ok && want != key {
				return fmt.Errorf("key %q, want %q", key, want)
			}
		}
		if seen[folded] {
			return fmt.Errorf("key %q twice", key)
		}
		seen[folded] = true
		below := spelling
		if freeKeys[key] {
			below = nil
		}
		if err := checkValue(dec, below, depth+1); err != nil {
			return err
		}
	}
	_, err := dec.Token()
	return err
}
