// Package objectstore runs a private S3 server on loopback: versitygw, a gateway in front of a folder, which checks
// signatures, digests and conditions as AWS does.
//
// It is not Skein's client of object stores (plugins/blob is), and knows nothing of what lies in its bucket. The local
// federation and the tests of plugins/blob call it. The program is built from its Go module (deploy/local/tools).
//
// Invariant: the server listens on 127.0.0.1 only and lets nobody in without its generated keys, which only the owner of
// its folder can read; they reach the server by its environment, never by its arguments or its log. With the same Dir,
// keys and objects are there again.
package objectstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skein-project/skein/deploy/local/ports"
	"github.com/skein-project/skein/deploy/local/proc"
	"github.com/skein-project/skein/deploy/local/tools"
)

const (
	// Region is what requests are signed for.
	Region = "us-east-1"

	loopback = "127.0.0.1"
)

// Options says what to start.
type Options struct {
	// Dir keeps the buckets, the keys and the log.
	Dir string
	// Port must be given; deploy/local/ports chooses one.
	Port int
	// Buckets are made if they are not there.
	Buckets []string
	// Log is told of what takes long, such as building the program; nil is silent.
	Log func(string)
}

// Server is a running S3 server.
type Server struct {
	// Endpoint is its URL. Buckets are in the path.
	Endpoint string
	// AccessKey and SecretKey may do everything. They are secrets.
	AccessKey, SecretKey string
	// Process is the server, for killing and stalling it. The group stops it as well.
	Process *proc.Process
}

// Start starts the server in the group, as "object-store", makes the buckets, and waits until it takes its keys.
func Start(ctx context.Context, group *proc.Group, o Options) (*Server, error) {
	if o.Log == nil {
		o.Log = func(string) {}
	}
	s, err := start(ctx, group, o)
	if err != nil {
		return nil, fmt.Errorf("start the object store: %w", err)
	}
	return s, nil
}

func start(ctx context.Context, group *proc.Group, o Options) (*Server, error) {
	if err := ports.Await(ctx, o.Port); err != nil {
		return nil, err
	}
	program, err := tools.EnsureS3(ctx, o.Log)
	if err != nil {
		return nil, err
	}
	s := &Server{Endpoint: "http://" + net.JoinHostPort(loopback, strconv.Itoa(o.Port))}
	if err := s.prepare(o); err != nil {
		return nil, err
	}
	where, err := metadata(o.Dir)
	if err != nil {
		return nil, err
	}
	args := []string{"--port", net.JoinHostPort(loopback, strconv.Itoa(o.Port)), "--region", Region, "--quiet", "posix"}
	args = append(args, where...)
	s.Process, err = group.Start(ctx, proc.Spec{
		Name: "object-store", Path: program, Args: append(args, buckets(o.Dir)), Log: filepath.Join(o.Dir, "object-store.log"),
		Env: []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC", "HOME=" + os.TempDir(), "TMPDIR=" + os.TempDir(),
			"ROOT_ACCESS_KEY=" + s.AccessKey, "ROOT_SECRET_KEY=" + s.SecretKey},
		Ready: func(ctx context.Context) error { return s.ready(ctx, o.Buckets) }, ReadyTimeout: time.Minute, Grace: 5 * time.Second,
	})
	return s, err
}

func buckets(dir string) string { return filepath.Join(dir, "buckets") }

// prepare makes the folders and the keys. A bucket is a folder to this server.
func (s *Server) prepare(o Options) error {
	for _, b := range append([]string{""}, o.Buckets...) {
		if err := os.MkdirAll(filepath.Join(buckets(o.Dir), b), 0o700); err != nil {
			return err
		}
	}
	var err error
	if s.AccessKey, err = key(filepath.Join(o.Dir, "access.key")); err != nil {
		return err
	}
	s.SecretKey, err = key(filepath.Join(o.Dir, "secret.key"))
	return err
}

// key reads a generated key, or makes it.
func key(path string) (string, error) {
	raw, err := os.ReadFile(path)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return strings.TrimSpace(string(raw)), err
	}
	made := rand.Text()
	if err := os.WriteFile(path+".new", []byte(made+"\n"), 0o600); err != nil {
		return "", err
	}
	return made, os.Rename(path+".new", path)
}

// metadata says where the server keeps what it knows of objects: with them, if the file system can, since then an object
// and its digest are replaced as one.
func metadata(dir string) ([]string, error) {
	if err := unix.Setxattr(buckets(dir), "user.skein", []byte("1"), 0); err == nil {
		return nil, nil
	}
	sidecar := filepath.Join(dir, "metadata")
	return []string{"--sidecar", sidecar}, os.MkdirAll(sidecar, 0o700)
}
