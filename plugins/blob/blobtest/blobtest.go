// Package blobtest is the conformance suite of object stores.
//
// It is not a benchmark. Invariant: a store that passes it can stand behind
// every port that the planes declare for object stores.
package blobtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/skein-project/skein/api/fault"
)

// Reading is the reading half of what the suite asks of a store.
type Reading interface {
	Root() string
	Read(ctx context.Context, uri string) ([]byte, error)
	Reader(ctx context.Context, uri string) (io.ReadCloser, error)
	Exists(ctx context.Context, uri string) (bool, error)
	List(ctx context.Context, prefix string) ([]string, error)
}

// Store is what the suite asks of a store.
type Store interface {
	Reading
	Write(ctx context.Context, uri string, data []byte) error
	Create(ctx context.Context, uri string, once bool) (io.WriteCloser, error)
	Attributes(ctx context.Context, uri string) (size int64, md5 []byte, err error)
}

// Names are object names that every store must keep as they are.
var Names = []string{
	"plain", "with space", "per%20cent%", "co:lon", "日本語", "ünï/cödé.bin", "a/b/c/d",
	"plus+and&and=and?and#", "quote'\"`", "dots..in..name", ".hidden", "trailing.", "back\\slash",
	"p-d-exec/n0/data/0/outputs.pb",
}

// Run runs the suite on a new, empty store for each test.
func Run(t *testing.T, open func(t *testing.T) Store) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, Store){
		"Names": testNames, "Missing": testMissing, "Overwrite": testOverwrite, "Once": testOnce,
		"Abandon": testAbandon, "OutsideRoot": testOutsideRoot, "Atomic": testAtomic, "Seek": testSeek,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func testNames(t *testing.T, s Store) {
	ctx := t.Context()
	var want []string
	for _, name := range Names {
		uri := s.Root() + "/suite/" + name
		want = append(want, uri)
		if err := s.Write(ctx, uri, []byte(name)); err != nil {
			t.Fatalf("write %q: %v", uri, err)
		}
	}
	for i, uri := range want {
		got, err := s.Read(ctx, uri)
		if err != nil || string(got) != Names[i] {
			t.Errorf("read %q = %q, %v", uri, got, err)
		}
		size, _, err := s.Attributes(ctx, uri)
		if err != nil || size != int64(len(Names[i])) {
			t.Errorf("attributes of %q = %d, %v", uri, size, err)
		}
	}
	got, err := s.List(ctx, s.Root()+"/suite")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("list = %q\nwant   %q", got, want)
	}
}

func testMissing(t *testing.T, s Store) {
	ctx := t.Context()
	if err := s.Write(ctx, s.Root()+"/folder/object", nil); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/nothing", "/folder", "/folder/object/below", "/folder/none"} {
		uri := s.Root() + name
		if _, err := s.Read(ctx, uri); !fault.Is(err, fault.NotFound) {
			t.Errorf("read %s: %v, want NotFound", name, err)
		}
		if ok, err := s.Exists(ctx, uri); ok || err != nil {
			t.Errorf("exists %s = %v, %v", name, ok, err)
		}
	}
	if got, err := s.Read(ctx, s.Root()+"/folder/object"); err != nil || len(got) != 0 {
		t.Errorf("empty object = %q, %v", got, err)
	}
}

func testOverwrite(t *testing.T, s Store) {
	uri := s.Root() + "/over"
	for _, text := range []string{"a longer first text", "second"} {
		if err := s.Write(t.Context(), uri, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Read(t.Context(), uri); err != nil || string(got) != text {
			t.Errorf("read = %q, %v, want %q", got, err, text)
		}
	}
}

func testOnce(t *testing.T, s Store) {
	uri := s.Root() + "/once/object"
	var won atomic.Int32
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			w, err := s.Create(t.Context(), uri, true)
			if err == nil {
				_, werr := w.Write([]byte{byte('a' + i)})
				err = errors.Join(werr, w.Close())
			}
			if err == nil {
				won.Add(1)
			} else if !fault.Is(err, fault.Conflict) {
				t.Errorf("second write: %v, want Conflict", err)
			}
		})
	}
	group.Wait()
	if won.Load() != 1 {
		t.Errorf("%d writers won, want 1", won.Load())
	}
}

func testAbandon(t *testing.T, s Store) {
	for _, once := range []bool{false, true} {
		ctx, cancel := context.WithCancel(t.Context())
		w, err := s.Create(ctx, s.Root()+"/abandoned/object", once)
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.Write([]byte("half"))
		cancel()
		if err = errors.Join(err, w.Close()); err == nil {
			t.Error("abandoned write gave no error")
		}
	}
	if got, err := s.List(t.Context(), s.Root()+"/abandoned"); err != nil || len(got) != 0 {
		t.Errorf("left behind: %q, %v", got, err)
	}
}

func testOutsideRoot(t *testing.T, s Store) {
	for _, uri := range []string{
		"", "relative", "/etc/passwd", s.Root(), s.Root() + "/", s.Root() + "/..", s.Root() + "/../x",
		s.Root() + "/a/../../x", s.Root() + "x/y", s.Root() + "/nul\x00", s.Root() + "/line\nfeed", "s3://other/x",
	} {
		if _, err := s.Read(t.Context(), uri); !fault.Is(err, fault.Invalid) {
			t.Errorf("read %q: %v, want Invalid", uri, err)
		}
		if err := s.Write(t.Context(), uri, nil); !fault.Is(err, fault.Invalid) {
			t.Errorf("write %q: %v, want Invalid", uri, err)
		}
	}
}

// testAtomic reads while an object is replaced: never a mixture.
func testAtomic(t *testing.T, s Store) {
	uri := s.Root() + "/atomic"
	bodies := [2][]byte{bytes.Repeat([]byte("a"), 300_000), bytes.Repeat([]byte("b"), 200_000)}
	if err := s.Write(t.Context(), uri, bodies[0]); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	group.Go(func() {
		for i := range 30 {
			if err := s.Write(t.Context(), uri, bodies[i%2]); err != nil {
				t.Errorf("write: %v", err)
			}
		}
	})
	for range 60 {
		got, err := s.Read(t.Context(), uri)
		if err != nil || (!bytes.Equal(got, bodies[0]) && !bytes.Equal(got, bodies[1])) {
			t.Errorf("read a mixture of %d bytes, %v", len(got), err)
		}
	}
	group.Wait()
}

func testSeek(t *testing.T, s Store) {
	uri := s.Root() + "/seek"
	data := make([]byte, 4096)
	_, _ = rand.Read(data) // never fails
	if err := s.Write(t.Context(), uri, data); err != nil {
		t.Fatal(err)
	}
	r, err := s.Reader(t.Context(), uri)
	if err != nil {
		t.Fatal(err)
	}
	seeker, ok := r.(io.ReadSeeker)
	if !ok {
		t.Fatal("the reader cannot seek")
	}
	if _, err := seeker.Seek(1000, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if err = errors.Join(err, r.Close()); err != nil || !bytes.Equal(got, data[1000:]) {
		t.Errorf("read %d bytes after seek, %v", len(got), err)
	}
}
