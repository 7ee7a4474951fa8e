package config

import (
	"os"
	"reflect"
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

// SaveChanges is Save without the settings that are as in defaults, a
// configuration of the same kind: what a program of another release, which may
// not know every key, reads too.
func SaveChanges(path string, c, defaults any) error {
	usual := Fields(defaults)
	var changed []Field
	for i, f := range Fields(c) {
		if !reflect.DeepEqual(f.value.Interface(), usual[i].value.Interface()) {
			changed = append(changed, f)
		}
	}
	raw, err := encode(changed)
	if err != nil {
		return err
	}
	return os.WriteFile(path, raw, 0o600)
}

// Encode is what Save writes.
func Encode(c any) ([]byte, error) { return encode(Fields(c)) }

func encode(fields []Field) ([]byte, error) {
	tree := map[string]any{}
	for _, f := range fields {
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
