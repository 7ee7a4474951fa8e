//go:build !linux

package proc

import "syscall"

// Attributes cannot tie a child's life to ours here: only Linux has a signal for a parent's death.
func Attributes(user *User) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if user != nil {
		attr.Credential = &syscall.Credential{Uid: user.UID, Gid: user.GID}
	}
	return attr
}

// awaitExit leaves the waiting to the reaping itself.
func awaitExit(int) {}
