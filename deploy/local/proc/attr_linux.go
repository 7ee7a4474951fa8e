package proc

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// Attributes puts a child into a group of its own that dies with the thread that started it: see [Start].
func Attributes(user *User) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if user != nil {
		attr.Credential = &syscall.Credential{Uid: user.UID, Gid: user.GID}
	}
	return attr
}

// awaitExit returns when the process has ended, and leaves it unreaped so that its number is not given to another.
func awaitExit(pid int) {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}
