package config

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

var ticked = regexp.MustCompile("`([^`]+)`")

// TestDocsListEveryKey compares the tables in docs/configuration.md with the
// configuration: every key is there, no other is, and defaults are the same.
func TestDocsListEveryKey(t *testing.T) {
	raw, err := os.ReadFile("../../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	admin, propeller, capi := DefaultAdmin(), DefaultPropeller(), DefaultCAPI()
	for heading, config := range map[string]any{"## skein-admin.yaml": &admin, "## skein-propeller.yaml": &propeller, "## skein-capi.yaml": &capi} {
		_, section, found := strings.Cut(string(raw), "\n"+heading+"\n")
		if !found {
			t.Fatalf("no heading %q", heading)
		}
		section, _, _ = strings.Cut(section, "\n## ")
		documented := documentedKeys(section)
		for _, f := range Fields(config) {
			if _, known := documented[f.Key]; !known && !strings.HasPrefix(f.Key, "tasks.") {
				t.Errorf("%s lacks the key %s", heading, f.Key)
			}
			checkDefault(t, heading, f, documented[f.Key])
			delete(documented, f.Key)
		}
		for key := range documented {
			t.Errorf("%s has %s, which is no key", heading, key)
		}
	}
}

// documentedKeys reads key → default from a table; a default is empty where
// the table writes none in backticks for each key. In a row of several keys,
// what follows the first has its prefix; "tasks.…" refers to another table.
func documentedKeys(section string) map[string]string {
	out := map[string]string{}
	for _, line := range strings.Split(section, "\n") {
		cells := strings.Split(line, "|")
		if len(cells) < 5 {
			continue
		}
		keys, defaults := ticked.FindAllStringSubmatch(cells[1], -1), ticked.FindAllStringSubmatch(cells[2], -1)
		prefix := ""
		for i, key := range keys {
			name := key[1]
			if strings.Contains(name, "…") {
				continue
			}
			if dot := strings.LastIndex(name, "."); dot >= 0 {
				prefix = name[:dot+1]
			} else {
				name = prefix + name
			}
			out[name] = ""
			if len(defaults) == len(keys) {
				out[name] = defaults[i][1]
			}
		}
	}
	return out
}

// checkDefault sets the documented default, which must change nothing.
func checkDefault(t *testing.T, heading string, f Field, documented string) {
	t.Helper()
	if documented == "" {
		return
	}
	before := reflect.ValueOf(f.value.Interface()).Interface()
	if err := f.Set(documented); err != nil || !reflect.DeepEqual(before, f.value.Interface()) {
		t.Errorf("%s says that %s is %s by default, but it is %v (%v)", heading, f.Key, documented, before, err)
	}
}
