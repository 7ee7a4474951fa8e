// Package capitest gives tests of Cluster API data planes what the real thing
// brings: cluster-api's own definitions.
//
// It is for tests only: federation/capi's, and the end-to-end test of skein-capi.
// Invariant: what it gives comes from cluster-api's release, and is not copied
// into this tree.
package capitest

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// release is the one whose types go.mod names.
const release = "sigs.k8s.io/cluster-api@v1.14.2"

// Definitions are cluster-api's definitions of Cluster and Machine, read from the
// module proxy's archive. The test fails if that cannot be had.
func Definitions(t *testing.T) [][]byte {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", release)
	command.Dir, command.Stderr = t.TempDir(), os.Stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("download cluster-api: %v", err)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		t.Fatal(err)
	}
	var list [][]byte
	for _, name := range []string{"clusters", "machines"} {
		raw, err := os.ReadFile(filepath.Join(module.Dir, "core/config/crd/bases", "cluster.x-k8s.io_"+name+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, raw)
	}
	return list
}
