// Package version says which build this is. It holds nothing else.
package version

import "runtime/debug"

// Number is the release that this tree leads to.
const Number = "0.1.0"

// String is the release and, where the build knows it, the revision.
func String() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return Number
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return Number + "+" + s.Value[:12]
		}
	}
	return Number
}
