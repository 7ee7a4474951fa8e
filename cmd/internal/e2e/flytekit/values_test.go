package flytekit

import (
	"os"
	"path/filepath"
	"testing"
)

// parcel sends what is stored beside literals.
func (s *suite) parcel(t *testing.T) {
	var e struct {
		execution
		Texts  map[string]string `json:"texts"`
		Counts map[string]int    `json:"counts"`
		Frame  map[string]any    `json:"frame"`
	}
	s.driver.ask(t, "parcel", map[string]any{"version": "one", "folder": s.shared(t)}, &e)
	e.succeeded(t)
	want(t, "texts", e.Texts, map[string]string{"a.txt": "a++", "deep/b.txt": "bb", "file": "file++"})
	want(t, "pickle", e.Counts, map[string]int{"sent": 1, "carried": 2})
	want(t, "dataframe", e.Frame, map[string]any{"word": []string{"x", "y"}, "n": []int{3, 4}})
}

// typed sends a value of each kind by the command line.
func (s *suite) typed(t *testing.T) {
	out, err := s.run(t, "typed", "workflows.py", "typed", []string{"--execution-cluster-label", "region=us-east",
		"--labels", "team=looms", "--tag", "blue", "--max-parallelism", "7"},
		"--whole", "41", "--real", "1.5", "--yes", "--when", "2024-02-29T10:00:00", "--span", "2h", "--color", "red",
		"--numbers", "[1,2,3]", "--nested", `[{"a":1}]`, "--table", `{"k":"v"}`, "--either", "word",
		"--shape", `{"name":"tri","corners":3,"sides":[1.0,2.0],"notes":{"k":"v"}}`)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	e := s.show(t, "typed")
	e.succeeded(t)
	want(t, "cluster", e.Cluster, "us-1")
	want(t, "labels", e.Labels["team"], "looms")
	want(t, "tags", e.Tags, []string{"blue"})
	want(t, "parallelism", e.Parallelism, 7)
	for name, value := range map[string]any{
		"whole": 42, "real": 3, "yes": false, "text": "by default!", "when": "2024-02-29 12:00:00+00:00", "span": "4:00:00",
		"color": "green", "numbers": []int{3, 2, 1}, "nested": []any{map[string]int{"a": 1}, map[string]int{"more": 1}},
		"table": map[string]string{"v": "k"}, "maybe": nil, "either": "word?",
	} {
		want(t, name, e.Outputs[name], value)
	}
	shape, _ := e.Outputs["shape"].(map[string]any)
	want(t, "shape", shape, map[string]any{"name": "tris", "corners": 4, "sides": []float64{1, 2, 0.5},
		"notes": map[string]string{"k": "v", "seen": "yes"}, "parent": "tri"})
	n := e.Nodes["n0"]
	want(t, "node's input", n.Inputs["whole"], 41)
	want(t, "node's output", n.Outputs["whole"], 42)
}

// files sends paths by pyflyte itself.
func (s *suite) files(t *testing.T) {
	dir := s.shared(t)
	for _, name := range []string{"x.txt", "y.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("sent"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	frame := filepath.Join(s.dir, "frame.parquet")
	s.driver.ask(t, "frame", map[string]any{"path": frame}, nil)
	out, err := s.run(t, "files", "tasks.py", "size", nil, "--file", filepath.Join(dir, "x.txt"), "--folder", dir, "--frame", frame)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want(t, "output", s.show(t, "files").Outputs["o0"], "sent ['x.txt', 'y.txt'] [1, 2]")
}
