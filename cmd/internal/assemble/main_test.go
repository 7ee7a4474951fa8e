package assemble

import (
	"testing"

	"github.com/skein-project/skein/deploy/local/localtest"
)

func TestMain(m *testing.M) { localtest.Main(m) }
