package blob

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Reach is a store and, if that is a bucket, every other bucket that its server
// and our credentials lead to. It is for programs that run for a task, with the
// task's credentials: users name inputs and raw outputs where they like. The
// planes use a Store, which stays under its root.
type Reach struct {
	own *Store
	cfg Config

	mu     sync.Mutex
	others map[string]*Store // by the root of a whole bucket
}

// OpenReach opens the store at cfg.Root; others are opened when they are asked
// for.
func OpenReach(ctx context.Context, cfg Config) (*Reach, error) {
	own, err := Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return &Reach{own: own, cfg: cfg, others: map[string]*Store{}}, nil
}

// Close releases what the stores hold open.
func (r *Reach) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.own.Close()
	for _, s := range slices.Collect(maps.Values(r.others)) {
		err = errors.Join(err, s.Close())
	}
	return err
}

// Read is Store.Read.
func (r *Reach) Read(ctx context.Context, uri string) ([]byte, error) {
	s, err := r.store(ctx, uri)
	if err != nil {
		return nil, err
	}
	return s.Read(ctx, uri)
}

// Write is Store.Write.
func (r *Reach) Write(ctx context.Context, uri string, data []byte) error {
	s, err := r.store(ctx, uri)
	if err != nil {
		return err
	}
	return s.Write(ctx, uri, data)
}

// Reader is Store.Reader.
func (r *Reach) Reader(ctx context.Context, uri string) (io.ReadCloser, error) {
	s, err := r.store(ctx, uri)
	if err != nil {
		return nil, err
	}
	return s.Reader(ctx, uri)
}

// Create is Store.Create.
func (r *Reach) Create(ctx context.Context, uri string, once bool) (io.WriteCloser, error) {
	s, err := r.store(ctx, uri)
	if err != nil {
		return nil, err
	}
	return s.Create(ctx, uri, once)
}

// List is Store.List.
func (r *Reach) List(ctx context.Context, prefix string) ([]string, error) {
	s, err := r.store(ctx, prefix)
	if err != nil {
		return nil, err
	}
	return s.List(ctx, prefix)
}

// store is the one that an object lies in. What lies in none is for our own to
// refuse.
func (r *Reach) store(ctx context.Context, uri string) (*Store, error) {
	rest, s3 := strings.CutPrefix(uri, "s3://")
	if !r.own.Signs() || !s3 || strings.HasPrefix(uri, r.own.Root()+"/") {
		return r.own, nil
	}
	name, _, _ := strings.Cut(rest, "/")
	cfg := r.cfg
	cfg.Root = "s3://" + name
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.others[cfg.Root]; s != nil {
		return s, nil
	}
	s, err := Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	r.others[cfg.Root] = s
	return s, nil
}
