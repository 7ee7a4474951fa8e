// Package machine checks what a local set-up needs of the machine, before anything is built or started: an IPv4
// loopback, a clock that can be right, folders that can be written and run from, and free space.
//
// It repairs nothing. Invariant: each error names what is wrong, where, and the way out, and its kind is Exhausted for
// space, else Precondition.
package machine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/skein-project/skein/api/fault"
)

// built is a moment that no right clock can be before: this code is younger.
var built = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// leap is how far a file of ours may seem to come from the future: file systems of other machines have clocks too.
const leap = 5 * time.Minute

// Loopback fails if nobody can be reached on 127.0.0.1, as on a machine whose loopback is down or speaks IPv6 only.
func Loopback(ctx context.Context) error {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err == nil { // even where the interface is down
		defer listener.Close()
		var conn net.Conn
		dialer := net.Dialer{Timeout: time.Second}
		if conn, err = dialer.DialContext(ctx, "tcp4", listener.Addr().String()); err == nil {
			return conn.Close()
		}
	}
	return fault.Wrap(fault.Precondition, err, "no IPv4 loopback: everything here listens on 127.0.0.1, which cannot be reached; "+
		"bring it up with `ip link set lo up` or `ip addr add 127.0.0.1/8 dev lo`")
}

// Clock fails if the time cannot be right: it lies before this code was written, or before one of the files, which were
// written here earlier. Certificates would be refused as not yet valid. Files that are not there say nothing.
func Clock(now time.Time, files ...string) error {
	if now.Before(built) {
		return fault.E(fault.Precondition, "the clock is far off: it says %s; set it, for example by starting an NTP client",
			now.UTC().Format(time.DateOnly))
	}
	for _, path := range files {
		if info, err := os.Stat(path); err == nil && info.ModTime().After(now.Add(leap)) {
			return fault.E(fault.Precondition, "the clock was set back: it says %s, and %s was written at %s; set it, or remove that state folder",
				now.UTC().Format(time.RFC3339), path, info.ModTime().UTC().Format(time.RFC3339))
		}
	}
	return nil
}

// Writable makes the folder if it is not there, and fails if nothing can be written into it. elsewhere says how to use
// another one.
func Writable(folder, elsewhere string) error {
	err := os.MkdirAll(folder, 0o755)
	var file *os.File
	if err == nil {
		file, err = os.CreateTemp(folder, ".writable-")
	}
	if err == nil {
		_, err = file.WriteString("x")
		err = errors.Join(err, file.Close(), os.Remove(file.Name()))
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fault.Wrap(fault.Exhausted, err, "the disk is full: make room in %s, or %s", folder, elsewhere)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS), errors.Is(err, syscall.ENOTDIR):
		return fault.Wrap(fault.Precondition, err, "cannot write in %s: make it writable, or %s", folder, elsewhere)
	}
	return fault.Wrap(fault.Precondition, err, "cannot use %s: %s", folder, elsewhere)
}

// nearest is the folder itself, or the first one above it that is there.
func nearest(folder string) string {
	for {
		if _, err := os.Stat(folder); err == nil || folder == filepath.Dir(folder) {
			return folder
		}
		folder = filepath.Dir(folder)
	}
}

// Room is space that something is going to take.
type Room struct {
	Folder   string
	Bytes    uint64
	For      string // what takes it
	Variable string // which environment variable moves it elsewhere
}

// size is a number of bytes as people say it.
func size(bytes uint64) string {
	if bytes < 1e9 {
		return fmt.Sprintf("%d MB", bytes/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(bytes)/1e9)
}
