package main

import (
	"testing"

	"github.com/skein-project/skein/cmd/internal/cli/helptest"
)

func TestHelp(t *testing.T) { helptest.Check(t, program) }
