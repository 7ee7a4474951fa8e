// Package config reads a process's configuration strictly.
//
// It fills a plain struct by precedence default < file < environment < flag,
// reports every problem at once, and prints the effective result with secrets
// masked. It does not know what the values mean: each process's struct is in
// its own file here, and checks itself in Validate. Invariant: an unknown key,
// in the file or in the environment, is an error and never ignored.
package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"sort"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/skein-project/skein/api/fault"
)

// Source is where values come from besides the defaults in the struct.
type Source struct {
	File    string            // path of a YAML file; empty: none
	Prefix  string            // of environment variables, such as SKEIN_ADMIN_
	Environ []string          // as os.Environ gives it
	Flags   map[string]string // dotted key → value, from --set
	Partial bool              // more is added before it is used: it is not validated yet
}

// Load fills into (a pointer to a struct that holds the defaults) from src. It
// returns one fault.Invalid error that lists every problem.
func Load(into any, src Source) error {
	var problems []error
	if src.File != "" {
		problems = append(problems, loadFile(into, src.File))
	}
	fields := Fields(into)
	problems = append(problems, loadEnviron(fields, src.Prefix, src.Environ)...)
	problems = append(problems, loadFlags(fields, src.Flags)...)
	if v, ok := into.(interface{ Validate() error }); ok && !src.Partial && errors.Join(problems...) == nil {
		problems = append(problems, v.Validate())
	}
	if err := errors.Join(problems...); err != nil {
		return fault.E(fault.Invalid, "configuration: %s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return nil
}

func loadFile(into any, path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("file %s cannot be read: %w", path, errors.Unwrap(err))
	}
	if err := yaml.UnmarshalStrict(raw, into); err != nil {
		if key := badDuration(into, raw); key != "" {
			path += ", " + key // the parser does not say where
		}
		return fmt.Errorf("file %s: %s", path, strings.TrimPrefix(err.Error(), "error unmarshaling JSON: while decoding JSON: "))
	}
	return nil
}

// badDuration is the key of the first duration in a file that is none.
func badDuration(into any, raw []byte) string {
	var whole map[string]any
	if yaml.Unmarshal(raw, &whole) != nil {
		return ""
	}
	for _, f := range Fields(into) {
		if f.value.Type() != reflect.TypeFor[Duration]() {
			continue
		}
		var found any = whole
		for part := range strings.SplitSeq(f.Key, ".") {
			inner, _ := found.(map[string]any)
			found = inner[part]
		}
		if text, isText := found.(string); found != nil && (!isText || new(Duration).set(text) != nil) {
			return f.Key
		}
	}
	return ""
}

func loadEnviron(fields []Field, prefix string, environ []string) []error {
	byName := map[string]Field{}
	for _, f := range fields {
		byName[prefix+envName(f.Key)] = f
	}
	var problems []error
	sort.Strings(environ)
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		f, ok := byName[name]
		if !ok {
			problems = append(problems, fmt.Errorf("environment %s: no such setting; see config print --env", name))
			continue
		}
		if err := f.Set(value); err != nil {
			problems = append(problems, fmt.Errorf("environment %s: %w", name, err))
		}
	}
	return problems
}

func loadFlags(fields []Field, flags map[string]string) []error {
	byKey := map[string]Field{}
	for _, f := range fields {
		byKey[f.Key] = f
	}
	var problems []error
	for _, key := range sorted(flags) {
		f, ok := byKey[key]
		if !ok {
			problems = append(problems, fmt.Errorf("--set %s: no such setting; see config print", key))
			continue
		}
		if err := f.Set(flags[key]); err != nil {
			problems = append(problems, fmt.Errorf("--set %s: %w", key, err))
		}
	}
	return problems
}

// envName turns "flyte.grpc" into "FLYTE_GRPC" and "publicURL" into "PUBLIC_URL".
func envName(key string) string {
	var b strings.Builder
	prev := rune(0)
	for _, r := range key {
		switch {
		case r == '.':
			r = '_'
		case isUpper(r) && prev != 0 && !isUpper(prev) && prev != '_':
			b.WriteByte('_')
		}
		b.WriteRune(r)
		prev = r
	}
	return strings.ToUpper(b.String())
}

func isUpper(r rune) bool { return r >= 'A' && r <= 'Z' }

func sorted(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

var secretType = reflect.TypeOf(Secret(""))
