package faults

import (
	"testing"

	"github.com/skein-project/skein/cmd/internal/local/federationtest"
	"github.com/skein-project/skein/deploy/local/smalldisk"
)

func TestMain(m *testing.M) { smalldisk.Main(m, federationtest.Main) }
