package registry

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"
)

// editBundle gives a runc bundle a port, the host's network, a read-only root
// and no terminal.
func editBundle(t *testing.T, name string, port int) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := json.Unmarshal(data, &config); err != nil {
		t.Fatal(err)
	}
	process := config["process"].(map[string]any)
	process["terminal"] = false
	process["env"] = append(process["env"].([]any), fmt.Sprintf("PORT=%d", port))
	config["root"].(map[string]any)["readonly"] = true
	linux := config["linux"].(map[string]any)
	var spaces []any
	for _, ns := range linux["namespaces"].([]any) {
		if ns.(map[string]any)["type"] != "network" {
			spaces = append(spaces, ns)
		}
	}
	linux["namespaces"] = spaces
	config["mounts"] = append(config["mounts"].([]any),
		map[string]any{"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": []any{"mode=1777"}})
	data, err = json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
}
