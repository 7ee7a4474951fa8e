package flytekit

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/skein-project/skein/cmd/internal/local"
	spaces "github.com/skein-project/skein/deploy/local/namespace"
	"github.com/skein-project/skein/deploy/local/namespace/namespacetest"
	"github.com/skein-project/skein/deploy/local/venv"
)

// TestFlytekitKubelet runs the chosen cases, and what only containers show, on
// real nodes. It runs itself again in a network namespace, where those can be.
func TestFlytekitKubelet(t *testing.T) {
	if testing.Short() {
		t.Skip("a whole federation and Python take minutes")
	}
	inside := namespacetest.Rerun(t, spaces.Options{Network: true, Processes: true}, func() {
		log := func(line string) { t.Log(line) }
		_, err := venv.Ensure(t.Context(), log)
		if errors.Is(err, venv.ErrUnavailable) {
			fmt.Fprintln(os.Stdout, venv.SkipLine)
			t.SkipNow()
		}
		if err := errors.Join(err, local.Warm(t.Context(), log)); err != nil {
			t.Fatal(err)
		}
	})
	if !inside {
		return
	}
	// Two clusters: each unpacks 700 MB of image first, and two suffice to choose between.
	ground{name: "kubelet nodes, folder store", on: kubelet, own: containers,
		options: local.Options{Nodes: local.KubeletNodes, Clusters: local.ThreeRegions()[:2]}}.run(t)
}

// containers are cases that need real ones.
var containers = []testCase{
	{"out of memory", kubelet, (*suite).outOfMemory},
	{"an image that is nowhere", kubelet, failing("containers.pulling", nil, "ImagePullBackOff", "example.com/absent:1")},
}

// outOfMemory is killed by the kernel for it; the client is told, and what the
// task printed before is still there.
func (s *suite) outOfMemory(t *testing.T) {
	e := s.wait(t, launch{Name: "containers.eating"})
	want(t, "phase", e.Phase, "FAILED")
	if !strings.Contains(e.Code+" "+e.Error, "OOMKilled") {
		t.Errorf("error %s %s, want it to say OOMKilled", e.Code, e.Error)
	}
	out, log, err := s.skein(t, "logs", e.Name, "--node", "n0")
	if err != nil || !strings.Contains(out, "eating all memory") {
		t.Errorf("logs: %v, want what the task printed\n%s\n%s", err, out, log)
	}
}
