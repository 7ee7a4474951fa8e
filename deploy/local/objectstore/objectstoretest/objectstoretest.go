// Package objectstoretest gives tests an S3 server of their own.
//
// It is for tests only. Invariant: the server has ended, and its folder is gone, before the test that asked for it ends.
package objectstoretest

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/skein-project/skein/deploy/local/objectstore"
	"github.com/skein-project/skein/deploy/local/ports"
	"github.com/skein-project/skein/deploy/local/proc"
)

// Start starts a server with the given buckets.
func Start(t testing.TB, buckets ...string) *objectstore.Server {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "skein-s3-test-") // a real disk: memory's files may keep no metadata
	if err != nil {
		t.Fatal(err)
	}
	free, err := ports.Free(1)
	if err != nil {
		t.Fatal(err)
	}
	group := proc.NewGroup(dir, slog.New(slog.DiscardHandler))
	t.Cleanup(func() {
		if err := group.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		if left, err := proc.Leftovers(dir); err != nil || len(left) > 0 {
			t.Errorf("left over: %q, %v", left, err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	s, err := objectstore.Start(t.Context(), group, objectstore.Options{Dir: filepath.Join(dir, "s3"), Port: free[0], Buckets: buckets,
		Log: func(text string) { t.Log(text) }})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Credentials puts the server's keys where the AWS SDK looks for them, for the rest of the test, and hides what the
// machine has there.
func Credentials(t testing.TB, s *objectstore.Server) {
	t.Helper()
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": s.AccessKey, "AWS_SECRET_ACCESS_KEY": s.SecretKey, "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "", "AWS_REGION": "",
		"AWS_DEFAULT_REGION": "", "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	} {
		t.Setenv(name, value)
	}
}
