package namespacetest_test

import (
	"net"
	"testing"

	"github.com/skein-project/skein/deploy/local/namespace"
	"github.com/skein-project/skein/deploy/local/namespace/namespacetest"
)

func TestATestRunsInside(t *testing.T) {
	if !namespacetest.Rerun(t, namespace.Options{Network: true}) {
		if namespace.Inside() {
			t.Error("the outer one is inside")
		}
		return
	}
	interfaces, err := net.Interfaces()
	if err != nil || len(interfaces) != 1 || !namespace.Inside() {
		t.Errorf("inside: %v, %v", interfaces, err)
	}
}
