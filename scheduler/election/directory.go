package election

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/skein-project/skein/api/fault"
)

// directory is the raft directory, locked against a second process and bound
// to one control plane.
type directory struct {
	path string
	lock *os.File
}

// openDirectory makes and locks the directory, and refuses one that belongs to
// another control plane: its fences would be compared with a foreign database.
func openDirectory(path, controlPlane string) (*directory, error) {
	if err := os.MkdirAll(filepath.Join(path, "wal"), 0o700); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "raft directory %s", path)
	}
	lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "raft directory %s is not writable", path)
	}
	d := &directory{path: path, lock: lock}
	// The log's metadata would wait for its own lock for ever: ours says so.
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close()
		return nil, fault.Wrap(fault.Conflict, err, "raft directory %s is in use by another process", path)
	}
	if err := d.bind(controlPlane); err != nil {
		_ = d.Close()
		return nil, err
	}
	return d, nil
}

func (d *directory) bind(controlPlane string) error {
	name := filepath.Join(d.path, "control-plane")
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return d.write(name, controlPlane)
	}
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "raft directory %s", d.path)
	}
	if found := strings.TrimSpace(string(data)); found != controlPlane {
		return fault.E(fault.Precondition, "raft directory %s belongs to control plane %s, but the database is that of %s: "+
			"point this replica at its own database, or move the directory away and let it join anew", d.path, found, controlPlane)
	}
	return nil
}

// write makes the file whole or not at all.
func (d *directory) write(name, content string) error {
	f, err := os.CreateTemp(d.path, "control-plane-*")
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "raft directory %s", d.path)
	}
	_, err = f.WriteString(content + "\n")
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return fault.Wrap(fault.Internal, err, "bind raft directory %s to its control plane", d.path)
}

// Close gives the lock back.
func (d *directory) Close() error { return d.lock.Close() }
