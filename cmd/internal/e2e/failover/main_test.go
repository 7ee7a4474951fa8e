package failover

import (
	"testing"

	"github.com/skein-project/skein/cmd/internal/local/federationtest"
)

func TestMain(m *testing.M) { federationtest.Main(m) }
