package blob

import (
	"bytes"
	"context"
	"errors"
	"io"

	"gocloud.dev/blob"
)

// contentType is given to every object: what it holds is not known here.
const contentType = "application/octet-stream"

// Write makes or replaces an object. Readers see the old or the new one, and
// nothing between.
func (s *Store) Write(ctx context.Context, uri string, data []byte) error {
	if b, ok := s.place.(*bucket); ok {
		return b.put(ctx, uri, bytes.NewReader(data))
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w, err := s.Create(ctx, uri, false)
	if err != nil {
		return err
	}
	if _, err := w.Write(data); err != nil {
		cancel()
		return errors.Join(s.place.fault(ctx, err, uri), ignoreCancel(w.Close()))
	}
	return w.Close()
}

// Create opens an object for writing. It appears when Close returns nil; to
// abandon it, cancel ctx before Close. With once an object that exists (or
// comes to exist meanwhile, even by another process) is kept, and Close gives
// fault.Conflict.
func (s *Store) Create(ctx context.Context, uri string, once bool) (io.WriteCloser, error) {
	key, err := s.place.key(uri)
	if err != nil {
		return nil, err
	}
	return s.place.create(ctx, key, uri, once)
}

// writer gives faults for the bucket's errors.
type writer struct {
	ctx   context.Context // of the call that writes
	w     *blob.Writer
	place place
	uri   string
}

func (w *writer) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	if err != nil {
		err = w.place.fault(w.ctx, err, w.uri)
	}
	return n, err
}

func (w *writer) Close() error {
	if err := w.w.Close(); err != nil {
		return w.place.fault(w.ctx, err, w.uri)
	}
	return nil
}

func ignoreCancel(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
