package local

import (
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
