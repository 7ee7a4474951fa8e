package kubelet

import "golang.org/x/sys/unix"

// bind shows one file in another's place, in the mount namespace of the calling thread.
func bind(file, place string) error { return unix.Mount(file, place, "", unix.MS_BIND, "") }

// hide shows an empty folder in memory in another's place, in the mount namespace of the calling thread.
func hide(dir string) error {
	return unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755")
}
