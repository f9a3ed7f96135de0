package configure

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

func dump(t *testing.T, m *memSink, rep Report) {
	d := os.Getenv("RETORT_DUMP")
	if d == "" {
		return
	}
	for p, b := range m.content {
		f := filepath.Join(d, p)
		os.MkdirAll(filepath.Dir(f), 0o755)
		os.WriteFile(f, b, 0o644)
	}
	b, _ := json.MarshalIndent(rep, "", " ")
	os.WriteFile(filepath.Join(d, "report.json"), b, 0o644)
}
