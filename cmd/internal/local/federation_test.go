package local

import (
	"os"
	"strings"
	"testing"

	"github.com/skein-project/skein/api/fault"
)

func TestAPortThatIsNone(t *testing.T) {
	for _, port := range []int{-1, 65536, 99999999} {
		_, err := (&Federation{}).port("grpc", port)
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "--grpc-port") {
			t.Errorf("port %d gave %v, want an Invalid error that names --grpc-port", port, err)
		}
	}
}

func TestAKindThatIsNone(t *testing.T) {
	for flag, o := range map[string]Options{
		"--nodes":        {Nodes: "docker"},
		"--object-store": {ObjectStore: "tape"},
	} {
		o.State = t.TempDir()
		_, err := Start(t.Context(), o)
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), flag) {
			t.Errorf("%s gave %v, want an Invalid error that names it", flag, err)
		}
		if left, _ := os.ReadDir(o.State); len(left) > 0 {
			t.Errorf("%s: something was started first: %v", flag, left)
		}
	}
}
