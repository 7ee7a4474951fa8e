//go:build !linux

package smalldisk

import "github.com/skein-project/skein/deploy/local/namespace"

func mount(string, int64) error { return namespace.ErrUnavailable }

func unmount(string) error { return nil }
