package blob

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"gocloud.dev/blob"

	"github.com/skein-project/skein/api/fault"
)

// Objects are readable for every user: the pods that read them run as others.
const (
	fileMode = 0o644
	dirMode  = 0o777 // as the process's umask has it

	tempSuffix = ".tmp"
)

// Write makes or replaces an object. Readers see the old or the new one, and
// nothing between.
func (s *Store) Write(ctx context.Context, uri string, data []byte) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w, err := s.Create(ctx, uri, false)
	if err != nil {
		return err
	}
	if _, err := w.Write(data); err != nil {
		cancel()
		return errors.Join(faultOf(err, uri), ignoreCancel(w.Close()))
	}
	return w.Close()
}

// Create opens an object for writing. It appears when Close returns nil; to
// abandon it, cancel ctx before Close. With once an object that exists (or
// comes to exist meanwhile, even by another process) is kept, and Close gives
// fault.Conflict.
func (s *Store) Create(ctx context.Context, uri string, once bool) (io.WriteCloser, error) {
	key, err := s.key(uri)
	if err != nil {
		return nil, err
	}
	if dir := filepath.Dir(key); dir != "." {
		if err := s.dir.MkdirAll(dir, dirMode); err != nil {
			return nil, faultOf(err, uri)
		}
	}
	if once {
		return s.createOnce(ctx, key, uri)
	}
	w, err := s.bucket.NewWriter(ctx, key, &blob.WriterOptions{
		ContentType: "application/octet-stream",
		BeforeWrite: func(as func(any) bool) error {
			var f *os.File
			if !as(&f) {
				return nil
			}
			return f.Chmod(fileMode)
		},
	})
	if err != nil {
		return nil, faultOf(err, uri)
	}
	return &writer{w: w, uri: uri}, nil
}

// writer gives faults for the bucket's errors.
type writer struct {
	w   *blob.Writer
	uri string
}

func (w *writer) Write(p []byte) (int, error) { return w.w.Write(p) }

func (w *writer) Close() error {
	if err := w.w.Close(); err != nil {
		return faultOf(err, w.uri)
	}
	return nil
}

// createOnce does what fileblob's IfNotExist only promises within one writer:
// it links the finished file to its name, which fails if the name is taken.
func (s *Store) createOnce(ctx context.Context, key, uri string) (io.WriteCloser, error) {
	if _, err := s.dir.Stat(key); err == nil {
		return nil, fault.E(fault.Conflict, "object %s exists already", uri)
	}
	temp := key + "." + strconv.FormatInt(time.Now().UnixNano(), 16) + tempSuffix
	f, err := s.dir.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return nil, faultOf(err, uri)
	}
	if err := f.Chmod(fileMode); err != nil {
		return nil, errors.Join(faultOf(err, uri), f.Close(), s.dir.Remove(temp))
	}
	return &onceWriter{ctx: ctx, f: f, dir: s.dir, temp: temp, key: key, uri: uri}, nil
}

type onceWriter struct {
	ctx            context.Context // of the call that writes; cancelled to abandon
	f              *os.File
	dir            *os.Root
	temp, key, uri string
}

func (w *onceWriter) Write(p []byte) (int, error) { return w.f.Write(p) }

func (w *onceWriter) Close() error {
	defer func() { _ = w.dir.Remove(w.temp) }() // gone already, or stranded: no harm
	if err := w.f.Close(); err != nil {
		return faultOf(err, w.uri)
	}
	if err := w.ctx.Err(); err != nil {
		return faultOf(err, w.uri)
	}
	if err := w.dir.Link(w.temp, w.key); err != nil {
		return faultOf(err, w.uri)
	}
	return nil
}

func ignoreCancel(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func isNotDir(err error) bool      { return errors.Is(err, syscall.ENOTDIR) }
func isNameTooLong(err error) bool { return errors.Is(err, syscall.ENAMETOOLONG) }
