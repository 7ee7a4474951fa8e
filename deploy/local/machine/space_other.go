//go:build !linux

package machine

// Runs cannot tell here.
func Runs(string, string) error { return nil }

// Space cannot tell here.
func Space(...Room) error { return nil }
