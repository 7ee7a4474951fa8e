//go:build !linux

package kubelet

import "github.com/skein-project/skein/deploy/local/namespace"

func bind(string, string) error { return namespace.ErrUnavailable }

func hide(string) error { return namespace.ErrUnavailable }
