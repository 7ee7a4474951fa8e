package config

import (
	"os"
	"strings"

	"sigs.k8s.io/yaml"
)

// Save writes a configuration for another process to read: a file of mode
// 0600 with secrets in clear, all settings in it. Print is for people.
func Save(path string, c any) error {
	raw, err := Encode(c)
	if err != nil {
		return err
	}
	return os.WriteFile(path, raw, 0o600)
}

// Encode is what Save writes.
func Encode(c any) ([]byte, error) {
	tree := map[string]any{}
	for _, f := range Fields(c) {
		node := tree
		parts := strings.Split(f.Key, ".")
		for _, part := range parts[:len(parts)-1] {
			child, ok := node[part].(map[string]any)
			if !ok {
				child = map[string]any{}
				node[part] = child
			}
			node = child
		}
		var value any = f.value.Interface()
		if s, secret := value.(Secret); secret {
			value = s.Reveal()
		}
		node[parts[len(parts)-1]] = value
	}
	return yaml.Marshal(tree)
}
