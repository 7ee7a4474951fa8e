// Package scenarios plays the chaos scenarios of the tree on real processes.
package scenarios

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skein-project/skein/chaos/script"
	"github.com/skein-project/skein/cmd/internal/local/federationtest"
	"github.com/skein-project/skein/cmd/internal/scenario"
)

func TestMain(m *testing.M) { federationtest.Main(m) }

// TestScenarios plays every scenario: nothing is lost, doubled or stale, and no
// two epochs of an execution have accepted work that interleaves. Scenarios that
// want the same federation share one: each leaves it healed.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("../../../../chaos/testdata/*.txt")
	if err != nil || len(files) < 8 {
		t.Fatalf("%d scenarios, %v", len(files), err)
	}
	bySetup := map[script.Setup][]script.Scenario{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s, err := script.Parse(strings.TrimSuffix(filepath.Base(file), ".txt"), text)
		if err != nil {
			t.Fatal(err)
		}
		bySetup[s.Setup] = append(bySetup[s.Setup], s)
	}
	for setup, list := range bySetup {
		t.Run(fmt.Sprintf("%+v", setup), func(t *testing.T) {
			w, err := scenario.Start(t.Context(), setup, federationtest.State(t), federationtest.Binaries(t), func(string) {})
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := w.Close(); err != nil {
					t.Error(err)
				}
			}()
			for _, s := range list {
				t.Run(s.Name, func(t *testing.T) { play(t, s, w) })
			}
		})
	}
}

func play(t *testing.T, s script.Scenario, w *scenario.World) {
	f, err := script.Run(t.Context(), s, w.Ports(func(step string) { t.Log(step) }))
	t.Log(f)
	if err != nil {
		t.Fatal(err)
	}
	for _, why := range f.Failed {
		t.Error(why)
	}
	if !f.OK() {
		t.Errorf("promises were broken: %+v", f)
	}
}
