// Package localtest gives tests a real database and a real Kubernetes API server.
//
// Each is started at its first use in a test process and shared by all its tests: take a fresh database by [Database]
// and namespaces of your own names in [Cluster]. A test that stops, kills or stalls a server takes one of its own by
// [Group] and the packages beside this one. A package whose tests use any of this has
//
//	func TestMain(m *testing.M) { localtest.Main(m) }
//
// which stops all and removes its folder. To share servers between test processes, run them below
// `go run ./deploy/local/with -- go test ./...`, which names its own in SKEIN_TEST_DATABASE_URL and
// SKEIN_TEST_KUBECONFIG.
//
// Invariant: nothing outlives the test process, even if it is killed; only its folder may, and the next one removes it.
package localtest

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skein-project/skein/deploy/local/cluster"
	"github.com/skein-project/skein/deploy/local/database"
	"github.com/skein-project/skein/deploy/local/proc"
)

const (
	// DatabaseVariable names the environment variable with the URL of a running server and a user who may create
	// databases.
	DatabaseVariable = "SKEIN_TEST_DATABASE_URL"
	// KubeconfigVariable names the environment variable with the path of the administrator's kubeconfig, in the folder
	// of a running cluster of deploy/local/cluster.
	KubeconfigVariable = "SKEIN_TEST_KUBECONFIG"
)

// shared is what this test process started. It is package state because so is TestMain.
var shared servers

// Main runs the tests, stops what they started, and exits. Processes that are left over fail the run.
func Main(m *testing.M) {
	code := m.Run()
	if err := shared.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "localtest:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// Database returns the URL of a fresh, empty database, which is dropped at the end of the test.
func Database(t testing.TB) string {
	t.Helper()
	server, err := databaseServer()
	if err != nil {
		t.Fatal(err)
	}
	name := "test_" + strings.ToLower(rand.Text())
	url, err := database.Create(t.Context(), server, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := database.Drop(ctx, server, name); err != nil {
			t.Errorf("localtest: %v", err)
		}
	})
	return url
}

// Cluster returns the API server that all tests of this process share. Objects without a namespace are shared too:
// give them names of your own. With -short, the test is skipped. Do not stop it.
func Cluster(t testing.TB) *cluster.Cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a real API server")
	}
	c, err := sharedCluster()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Group returns a group of processes of the test's own, for servers that it stops or kills. Its state folder can be
// reached by the database's user. At the end of the test it is stopped, and processes left over fail the test.
func Group(t testing.TB) *proc.Group {
	t.Helper()
	root, err := shared.folder()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp(root, "group-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	group := proc.NewGroup(dir, slog.New(slog.DiscardHandler))
	t.Cleanup(func() {
		if err := group.Stop(context.Background()); err != nil {
			t.Errorf("localtest: %v", err)
		}
		if err := noneLeft(dir); err != nil {
			t.Errorf("localtest: %v", err)
		}
		_ = os.RemoveAll(dir)
	})
	return group
}

// databaseServer returns the URL of the server that was named to us, or of our own.
var databaseServer = sync.OnceValues(func() (string, error) {
	if url := os.Getenv(DatabaseVariable); url != "" {
		return url, nil
	}
	return shared.startDatabase(context.Background(), progress)
})

var sharedCluster = sync.OnceValues(func() (*cluster.Cluster, error) {
	if path := os.Getenv(KubeconfigVariable); path != "" {
		return cluster.Open(filepath.Dir(path))
	}
	return shared.startCluster(context.Background(), progress)
})

// progress goes to standard error, since the first test would otherwise be silent for minutes on a new machine.
func progress(text string) { fmt.Fprintln(os.Stderr, "localtest:", text) }
