package machine

import (
	"fmt"
	"strings"
	"syscall"

	"github.com/skein-project/skein/api/fault"
)

// noExec is the mount option, as statfs tells it.
const noExec = 0x8

// Runs fails if programs in the folder cannot be run, since its file system is mounted noexec.
func Runs(folder, elsewhere string) error {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(nearest(folder), &fs); err == nil && fs.Flags&noExec != 0 {
		return fault.E(fault.Precondition, "programs cannot be run from %s, whose file system is mounted noexec: %s", folder, elsewhere)
	}
	return nil
}

// Space fails if the rooms do not fit. Those on one file system are added up.
func Space(rooms ...Room) error {
	type disk struct {
		free, need uint64
		rooms      []string
		move       []string
	}
	disks := map[uint64]*disk{} // by device
	for _, r := range rooms {
		var fs syscall.Statfs_t
		var at syscall.Stat_t
		if syscall.Statfs(nearest(r.Folder), &fs) != nil || syscall.Stat(nearest(r.Folder), &at) != nil {
			continue // whoever uses it says why
		}
		if disks[at.Dev] == nil {
			disks[at.Dev] = &disk{free: fs.Bavail * uint64(fs.Bsize)}
		}
		d := disks[at.Dev]
		d.need += r.Bytes
		d.rooms = append(d.rooms, fmt.Sprintf("%s for %s in %s", size(r.Bytes), r.For, r.Folder))
		d.move = append(d.move, r.Variable)
	}
	for _, d := range disks {
		if d.free < d.need {
			return fault.E(fault.Exhausted, "too little free space: %s are free on one disk, and %s are needed there (%s); make room, or move it by setting %s",
				size(d.free), size(d.need), strings.Join(d.rooms, ", "), strings.Join(d.move, ", "))
		}
	}
	return nil
}
