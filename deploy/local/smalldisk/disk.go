package smalldisk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/skein-project/skein/deploy/local/namespace"
)

// Disk is a small disk at a folder.
type Disk struct {
	dir    string
	filler string
}

// Mount puts an empty disk of so many bytes over the folder. Everybody may enter it, nobody but its owner and root may
// write. Outside of a mount table of our own the error is namespace.ErrUnavailable.
func Mount(dir string, bytes int64) (*Disk, error) {
	if os.Getenv(inside) == "" {
		return nil, fmt.Errorf("%w: a private mount table needs root on Linux", namespace.ErrUnavailable)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if err := mount(dir, bytes); err != nil {
		return nil, fmt.Errorf("mount a disk of %d bytes: %w", bytes, err)
	}
	return &Disk{dir: dir, filler: filepath.Join(dir, ".filler")}, nil
}

// Fill takes all the room that is left.
func (d *Disk) Fill() error {
	f, err := os.OpenFile(d.filler, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	for block := make([]byte, 1<<20); len(block) >= 4096; {
		if _, err = f.Write(block); err != nil {
			block = block[:len(block)/2]
		}
	}
	if !errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("fill %s: %w", d.dir, err)
	}
	return nil
}

// Empty frees what Fill has taken, if it has.
func (d *Disk) Empty() error {
	if err := os.Remove(d.filler); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Unmount takes the disk away, with all that is on it.
func (d *Disk) Unmount() error {
	if err := unmount(d.dir); err != nil {
		return fmt.Errorf("unmount %s: %w", d.dir, err)
	}
	return nil
}
