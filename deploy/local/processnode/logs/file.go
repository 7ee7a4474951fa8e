// Package logs keeps one container's log as a plain file and answers for it what
// a kubelet's log endpoint is asked: the last lines, since when, with times, and
// what comes next.
//
// It knows neither pods nor HTTP. The file holds exactly what the container has
// written, standard output and error as they came, after a header of the agent's,
// so that people can read it without any tool; the times lie in an index beside it.
//
// Invariant: the index has an entry for the first byte, and offsets and times in
// it never go down.
package logs

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

const (
	// maxLog bounds one container's log; what comes after is dropped.
	maxLog = 64 << 20
	// drainTime is how long output is awaited after the last process has ended.
	drainTime = 2 * time.Second
	// indexStep is how far apart in time two entries of the index are at least.
	indexStep = 5 * time.Millisecond
	indexSize = 16
)

// File is the log of one run of a container, being written, and beside it an
// index of pairs (offset, time). Its methods may be called from any goroutine.
type File struct {
	mu     sync.Mutex
	file   *os.File
	index  *os.File
	size   int64
	marked time.Time
	full   bool
	// header is how much of the file is ours.
	header int64
	// copied is closed when the pipe has been read to its end; nil without one.
	copied chan struct{}
	read   *os.File
}

func indexPath(log string) string { return log + ".index" }

// Previous is where the log of the run before lies.
func Previous(log string) string { return log + ".previous" }

// New begins a log at the path with the header; the one of the run before is kept.
func New(path, header string) (*File, error) {
	_ = os.Rename(path, Previous(path)) // absent at the first run
	_ = os.Rename(indexPath(path), indexPath(Previous(path)))
	file, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("make log: %w", err)
	}
	index, err := os.Create(indexPath(path))
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("make log index: %w", err)
	}
	l := &File{file: file, index: index}
	if _, err := l.Write([]byte(header)); err != nil {
		l.Close()
		return nil, fmt.Errorf("begin log: %w", err)
	}
	l.header = l.size
	return l, nil
}

// Write appends; beyond the limit it says so once and drops the rest.
func (l *File) Write(data []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(data)
	if l.full {
		return n, nil
	}
	if l.size+int64(n) > maxLog {
		l.full = true
		data = []byte("\n[skein process node] the log has reached its limit; the rest is dropped\n")
	}
	if now := time.Now(); now.Sub(l.marked) >= indexStep {
		var entry [indexSize]byte
		binary.LittleEndian.PutUint64(entry[:8], uint64(l.size))
		binary.LittleEndian.PutUint64(entry[8:], uint64(now.UnixNano()))
		if _, err := l.index.Write(entry[:]); err != nil {
			return 0, err
		}
		l.marked = now
	}
	written, err := l.file.Write(data)
	l.size += int64(written)
	if err != nil {
		return 0, err
	}
	return n, nil
}

// Pipe gives the end to which the container writes; the caller closes it.
func (l *File) Pipe() (*os.File, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make pipe for the log: %w", err)
	}
	l.read, l.copied = read, make(chan struct{})
	go func() {
		defer close(l.copied)
		_, _ = io.Copy(struct{ io.Writer }{l}, read) // a full disk loses log, not the container
	}()
	return write, nil
}

// Drain waits until all that was written is in the file.
func (l *File) Drain() {
	select {
	case <-l.copied:
	case <-time.After(drainTime):
	}
}

// Close closes the log; what is still in the pipe is dropped.
func (l *File) Close() {
	if l.read != nil {
		l.read.Close() // ends the copying too
		<-l.copied
	}
	l.file.Close()
	l.index.Close()
}

// Tail gives the end of the log, without the header.
func (l *File) Tail(size int64, lines int) []byte {
	l.mu.Lock()
	from := max(l.size-size, l.header)
	raw := make([]byte, l.size-from)
	l.mu.Unlock()
	file, err := os.Open(l.file.Name())
	if err != nil {
		return nil
	}
	defer file.Close()
	n, _ := file.ReadAt(raw, from)
	return lastLines(raw[:n], lines)
}

// lastLines gives the last n lines; a last one without end of line counts.
func lastLines(raw []byte, n int) []byte {
	for i := len(raw) - 2; i >= 0; i-- {
		if raw[i] != '\n' {
			continue
		}
		if n--; n == 0 {
			return raw[i+1:]
		}
	}
	if n <= 0 && len(raw) > 0 {
		return nil
	}
	return raw
}
