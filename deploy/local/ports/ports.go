// Package ports chooses loopback ports for the parts of a local set-up and remembers them by name.
//
// It reserves nothing: a port is free when it is chosen, and no other set-up of this user has chosen it in the last
// minutes; still, the part that listens on it later may find a stranger
// there ([Check] says so in words). Ports come from below the kernel's ephemeral range, so that an outgoing connection
// does not take one while its owner restarts.
//
// Invariant: two names of one Book never have the same port, and a name keeps its port for the life of the Book's file.
package ports

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/skein-project/skein/api/fault"
)

const (
	firstPort        = 15000
	defaultEphemeral = 32768 // Linux's first ephemeral port, unless set otherwise
)

// Book remembers ports by name in one file. Safe for concurrent use within one process.
type Book struct {
	path string

	mu    sync.Mutex
	ports map[string]int
}

// Open reads the book at the path; one that does not exist is empty.
func Open(path string) (*Book, error) {
	b := &Book{path: path, ports: map[string]int{}}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, &b.ports); err != nil {
		return nil, fmt.Errorf("read the remembered ports in %s: %w", path, err)
	}
	return b, nil
}

// Port returns the port of that name, chosen now if the name is new. One that is remembered is returned even if it is
// in use, since others may know it: see Check.
func (b *Book) Port(name string) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if port, ok := b.ports[name]; ok {
		return port, nil
	}
	taken := map[int]bool{}
	for _, port := range b.ports {
		taken[port] = true
	}
	chosen, err := choose(1, taken)
	if err != nil {
		return 0, err
	}
	b.ports[name] = chosen[0]
	if err := b.save(); err != nil {
		delete(b.ports, name)
		return 0, fmt.Errorf("remember the port of %s: %w", name, err)
	}
	return chosen[0], nil
}

// Set remembers a port that was chosen by somebody else, such as a flag.
func (b *Book) Set(name string, port int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for other, taken := range b.ports {
		if taken == port && other != name {
			return fmt.Errorf("port %d of %s is already that of %s", port, name, other)
		}
	}
	b.ports[name] = port
	return b.save()
}

func (b *Book) save() error {
	data, err := json.MarshalIndent(b.ports, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(b.path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(b.path+".new", append(data, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(b.path+".new", b.path)
}

// Free returns n distinct free loopback ports and remembers nothing.
func Free(n int) ([]int, error) { return choose(n, nil) }

// Check returns an error that names the first of the ports that something listens on, and nil if all are free.
func Check(ports ...int) error {
	for _, port := range ports {
		listener, err := listen(port)
		if err != nil {
			return refused(port, err)
		}
		_ = listener.Close()
	}
	return nil
}

// refused says why nothing can listen on the port.
func refused(port int, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fault.Wrap(fault.Conflict, err, "port %d on 127.0.0.1 is in use by another program: end it, or choose another port", port)
	case errors.Is(err, fs.ErrPermission):
		return fault.Wrap(fault.Precondition, err, "port %d is for privileged users: choose one above 1023", port)
	}
	return fault.Wrap(fault.Precondition, err, "cannot listen on port %d of 127.0.0.1", port)
}

// dying is how long the kernel may take to close the sockets of a process that was killed.
const dying = 3 * time.Second

// Await is Check for ports that were ours before: it gives an earlier owner, killed a moment ago, time to be gone.
func Await(ctx context.Context, ports ...int) error {
	deadline := time.Now().Add(dying)
	for {
		err := Check(ports...)
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%w; if it was remembered from an earlier start, remove the file \"ports\" in the state folder", err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// choose holds a listener on each port until all are chosen, so that they are distinct.
func choose(n int, taken map[int]bool) ([]int, error) {
	span := ephemeralStart() - firstPort
	chosen := make([]int, 0, n)
	recent := openRecent()
	defer recent.close()
	defer func() { recent.add(chosen) }()
	for _, offset := range rand.Perm(span) {
		if len(chosen) == n {
			return chosen, nil
		}
		port := firstPort + offset
		if taken[port] || recent.has(port) {
			continue
		}
		if listener, err := listen(port); err == nil {
			defer listener.Close() // all of them together, at the end
			chosen = append(chosen, port)
		}
	}
	return nil, fmt.Errorf("no free loopback port between %d and %d", firstPort, firstPort+span-1)
}

func listen(port int) (net.Listener, error) {
	return net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
}

// ephemeralStart returns the first port that the kernel gives to outgoing connections.
func ephemeralStart() int {
	data, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return defaultEphemeral
	}
	fields := strings.Fields(string(data))
	if len(fields) == 0 {
		return defaultEphemeral
	}
	start, err := strconv.Atoi(fields[0])
	if err != nil || start < firstPort+1000 {
		return defaultEphemeral
	}
	return start
}
