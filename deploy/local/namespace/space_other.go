//go:build !linux

package namespace

import (
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"runtime"
	"time"
)

// Space is a set of namespaces; there are none here.
type Space struct{}

func unavailable() error {
	return fmt.Errorf("%w: %s has none, only Linux does", ErrUnavailable, runtime.GOOS)
}

// Open says that there are no namespaces here.
func Open(Options) (*Space, error) { return nil, unavailable() }

// Do is for Linux only.
func (*Space) Do(func() error) error { return unavailable() }

// Start is for Linux only.
func (*Space) Start(*exec.Cmd) error { return unavailable() }

// Run is for Linux only.
func (*Space) Run(context.Context, *exec.Cmd, time.Duration) error { return unavailable() }

// Close does nothing.
func (*Space) Close() error { return nil }

// AddAddress is for Linux only.
func AddAddress(string, netip.Addr) error { return unavailable() }
