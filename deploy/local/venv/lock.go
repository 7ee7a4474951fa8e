//go:build unix

package venv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// retryLock is how often a held lock is tried again.
const retryLock = 200 * time.Millisecond

// lock takes the file lock at path and returns what releases it. The kernel releases it too when the process dies.
func lock(ctx context.Context, path string, log func(string)) (func(), error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}

	ticker := time.NewTicker(retryLock)
	defer ticker.Stop()

	for waiting := false; ; {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { file.Close() }, nil
		}

		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			file.Close()

			return nil, fmt.Errorf("lock %s: %w", path, err)
		}

		if !waiting {
			waiting = true

			log("waiting for another process that makes the Python environment")
		}

		select {
		case <-ctx.Done():
			file.Close()

			return nil, fmt.Errorf("wait for lock: %w", context.Cause(ctx))
		case <-ticker.C:
		}
	}
}
