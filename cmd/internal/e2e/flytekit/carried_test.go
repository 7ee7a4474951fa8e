package flytekit

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// downloaded is the text of an execution's only file, had by FlyteRemote.
func (s *suite) downloaded(t *testing.T, e execution) string {
	t.Helper()
	var found map[string]string
	s.driver.ask(t, "download", map[string]any{"execution": e.Name, "folder": s.shared(t)}, &found)
	if len(found) != 1 {
		t.Fatalf("downloaded %v, want one file", found)
	}
	for _, text := range found {
		return text
	}
	return ""
}

// contained sends a file to a container that knows nothing of flytekit, and
// has its file back.
func (s *suite) contained(t *testing.T) {
	file := filepath.Join(s.shared(t), "to send.txt")
	if err := os.WriteFile(file, []byte("sent"), 0o600); err != nil {
		t.Fatal(err)
	}
	e := s.wait(t, launch{Name: "carried.contained", Inputs: values{"file": file}})
	e.succeeded(t)
	want(t, "text", s.downloaded(t, e), "sent?")
}

// large sends half a MiB and has two back.
func (s *suite) large(t *testing.T) {
	words := make([]string, 8)
	for i := range words {
		words[i] = strings.Repeat(string(rune('a'+i)), 64<<10)
	}
	e := s.wait(t, launch{Name: "carried.large", Inputs: values{"words": words, "times": 4}})
	e.succeeded(t)
	got, _ := e.Outputs["o0"].([]any)
	if len(got) != 32 || got[31] != words[7] {
		t.Errorf("%d words came back, want 32, the last as it was sent", len(got))
	}
}
