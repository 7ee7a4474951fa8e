package venv

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// supported are the versions of Python for which requirements.txt is complete.
var supported = map[string]bool{"3.10": true, "3.11": true, "3.12": true}

// probe prints the version of an interpreter that can make environments, and fails in any other.
const probe = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"

// findPython returns the path of the first supported Python. A name on the PATH proves nothing, since it may be a shim
// for a version that is not installed: each candidate is asked for its version.
func findPython(ctx context.Context) (string, error) {
	for _, name := range []string{"python3.12", "python3.11", "python3.10", "python3"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}

		out, err := exec.CommandContext(ctx, path, "-I", "-c", probe).Output()
		if err == nil && supported[strings.TrimSpace(string(out))] {
			return path, nil
		}

		if ctx.Err() != nil {
			return "", fmt.Errorf("find Python: %w", context.Cause(ctx))
		}
	}

	return "", fmt.Errorf("find Python 3.10 to 3.12 on the PATH: %w", ErrNoPython)
}
