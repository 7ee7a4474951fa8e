package ports

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// recentFor is how long a chosen port is kept from other set-ups of this user: until its owner listens on it, and
// somewhat longer, since a set-up that starts may be stopped and started again.
const recentFor = 10 * time.Minute

// recent remembers which ports were chosen lately by any set-up of this user: two that start beside each other find
// the same ports free. It is a help, not a promise: without its file, nothing is remembered.
type recent struct {
	file *os.File
	at   map[int]time.Time
}

// openRecent takes the lock of the user's file and reads it.
func openRecent() *recent {
	r := &recent{at: map[int]time.Time{}}
	file, err := os.OpenFile(filepath.Join(os.TempDir(), fmt.Sprintf("skein-ports-%d", os.Getuid())), os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return r
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		_ = file.Close()
		return r
	}
	r.file = file
	if data, err := io.ReadAll(file); err == nil {
		_ = json.Unmarshal(data, &r.at) // what cannot be read is written anew
	}
	for port, at := range r.at {
		if time.Since(at) > recentFor {
			delete(r.at, port)
		}
	}
	return r
}

func (r *recent) has(port int) bool { return !r.at[port].IsZero() }

func (r *recent) add(ports []int) {
	for _, port := range ports {
		r.at[port] = time.Now()
	}
}

// close writes the file and gives its lock back.
func (r *recent) close() {
	if r.file == nil {
		return
	}
	if data, err := json.Marshal(r.at); err == nil && r.file.Truncate(0) == nil {
		_, _ = r.file.WriteAt(data, 0) // a torn file is written anew by the next
	}
	_ = r.file.Close()
}
