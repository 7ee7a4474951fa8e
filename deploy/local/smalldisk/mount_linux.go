package smalldisk

import (
	"fmt"

	"golang.org/x/sys/unix"
)

func mount(dir string, bytes int64) error {
	return unix.Mount("smalldisk", dir, "tmpfs", unix.MS_NODEV, fmt.Sprintf("size=%d,mode=0755", bytes))
}

// unmount also works while files are open: their disk goes with the last of them.
func unmount(dir string) error { return unix.Unmount(dir, unix.MNT_DETACH) }
