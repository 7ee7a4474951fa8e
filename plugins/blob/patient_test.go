package blob_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/plugins/blob"
)

// silent never answers.
type silent struct{}

func (silent) Read(ctx context.Context, _ string) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (silent) Write(ctx context.Context, _ string, _ []byte) error {
	<-ctx.Done()
	return ctx.Err()
}

func (silent) Exists(ctx context.Context, _ string) (bool, error) {
	<-ctx.Done()
	return false, ctx.Err()
}

func TestAStoreThatHangsIsNotWaitedForLong(t *testing.T) {
	s := blob.Within(20*time.Millisecond, silent{})
	for name, ask := range map[string]func(context.Context) error{
		"read":   func(ctx context.Context) error { _, err := s.Read(ctx, "/x"); return err },
		"write":  func(ctx context.Context) error { return s.Write(ctx, "/x", nil) },
		"exists": func(ctx context.Context) error { _, err := s.Exists(ctx, "/x"); return err },
	} {
		if err := ask(t.Context()); !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s: %v, want Unavailable", name, err)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if err := ask(gone); !errors.Is(err, context.Canceled) || fault.Is(err, fault.Unavailable) {
			t.Errorf("%s of a caller that has gone: %v, want its own error", name, err)
		}
	}
	root := t.TempDir()
	real := blob.Within(time.Minute, open(t, blob.Config{Root: root}))
	if err := real.Write(t.Context(), root+"/x", []byte("y")); err != nil {
		t.Fatal(err)
	}
	there, err := real.Exists(t.Context(), root+"/x")
	data, readErr := real.Read(t.Context(), root+"/x")
	if err != nil || readErr != nil || !there || string(data) != "y" {
		t.Errorf("%q, %t, %v, %v", data, there, err, readErr)
	}
}
