// Package state finds the folder that a local set-up keeps everything in, and keeps a second copy out of it.
//
// It does not know what lies in the folder: each part has a subfolder of its own. `skein demo`, localtest and benches
// call it.
//
// Invariant: at most one process at a time holds an open Folder of a path; the kernel gives the lock back however that
// process ends. The folder belongs to us and nobody else may list it, but the database's own user may pass through it.
package state

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/deploy/local/machine"
	"github.com/skein-project/skein/deploy/local/proc"
)

// Folder is a state folder that this process holds.
type Folder struct {
	// Path is absolute and free of symbolic links.
	Path string
	lock *os.File
}

// Default returns the state folder to use if no flag names one: ${SKEIN_STATE}, else one for the clone of the
// repository that dir lies in (or for dir itself): as root below /var/tmp, which the database's own user can reach,
// else in the user's XDG state folder.
func Default(dir string) (string, error) {
	if path := os.Getenv(proc.StateVariable); path != "" {
		return filepath.Abs(path)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(clone(dir)))
	name := "skein-" + hex.EncodeToString(sum[:5])
	if os.Geteuid() == 0 {
		return filepath.Join("/var/tmp", name), nil
	}
	if root := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(root) {
		return filepath.Join(root, name), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find a state folder: %w (or set %s)", err, proc.StateVariable)
	}
	return filepath.Join(home, ".local", "state", name), nil
}

// clone returns the nearest folder above dir that holds a go.mod, or dir itself.
func clone(dir string) string {
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "go.mod")); err == nil {
			return at
		}
		if at == filepath.Dir(at) {
			return dir
		}
	}
}

// Open makes the folder if it is not there and takes its lock. If another process holds it, the error says which, and
// the way out.
func Open(path string) (*Folder, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := ensure(path); err != nil {
		return nil, fault.Wrap(fault.Precondition, err, "cannot make the state folder: use another with %s=… or --state …", proc.StateVariable)
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return nil, err
	}
	if err := machine.Writable(path, "use another folder with "+proc.StateVariable+"=… or --state …"); err != nil {
		return nil, err
	}
	lock, err := take(filepath.Join(path, "lock"))
	if err != nil {
		return nil, err
	}
	return &Folder{Path: path, lock: lock}, nil
}

// Sub makes and returns a subfolder: closed to all others if private, else passable, as the database's has to be.
func (f *Folder) Sub(name string, private bool) (string, error) {
	path, mode := filepath.Join(f.Path, name), os.FileMode(0o711)
	if private {
		mode = 0o700
	}
	if err := os.MkdirAll(path, mode); err != nil {
		return "", err
	}
	return path, os.Chmod(path, mode)
}

// Close gives the folder back. What is in it stays.
func (f *Folder) Close() error { return f.lock.Close() }

// ensure makes the folder, or sees that it is ours: /var/tmp lets anybody put a folder of that name there first.
func ensure(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	err := os.Mkdir(path, 0o711)
	if err == nil {
		return os.Chmod(path, 0o711) // whatever the umask
	}
	if !errors.Is(err, os.ErrExist) {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a folder", path)
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && int(owner.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to user %d: use another with %s=… or --state …", path, owner.Uid, proc.StateVariable)
	}
	return nil
}

func take(path string) (*os.File, error) {
	lock, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer lock.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		holder, _ := io.ReadAll(io.LimitReader(lock, 20))
		return nil, fault.E(fault.Conflict, "the state folder %s is in use by process %s: end that, or use another folder with %s=… or --state …",
			filepath.Dir(path), strings.TrimSpace(string(holder)), proc.StateVariable)
	}
	if err := lock.Truncate(0); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	if _, err := fmt.Fprintln(lock, os.Getpid()); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}
