package localtest_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/skein-project/skein/deploy/local/database"
	"github.com/skein-project/skein/deploy/local/localtest"
	"github.com/skein-project/skein/deploy/local/ports"
	"github.com/skein-project/skein/deploy/local/proc"
)

func TestMain(m *testing.M) { localtest.Main(m) }

func TestDatabasesAreSeparateAndGoneAfterwards(t *testing.T) {
	var first string
	t.Run("first", func(t *testing.T) {
		first = localtest.Database(t)
		for _, url := range []string{first, localtest.Database(t)} {
			conn, err := pgx.Connect(t.Context(), url)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = conn.Close(context.Background()) }) // after the drop: it must not wait for this
			if _, err := conn.Exec(t.Context(), "CREATE TABLE mine (n INT)"); err != nil {
				t.Errorf("the database is not empty: %v", err)
			}
		}
	})
	if conn, err := pgx.Connect(t.Context(), first); err == nil {
		_ = conn.Close(t.Context())
		t.Error("the database is still there after its test")
	}
}

func TestClusterIsShared(t *testing.T) {
	c := localtest.Cluster(t)
	if c != localtest.Cluster(t) {
		t.Error("a second call gives another cluster")
	}
	config, err := c.RESTConfig()
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.CoreV1().Namespaces().Get(t.Context(), "default", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
	if _, err := c.UserKubeconfig(t.Context(), "somebody", nil); err != nil {
		t.Error(err)
	}
}

func TestAGroupOfOnesOwnIsGoneAfterwards(t *testing.T) {
	var dir string
	t.Run("group", func(t *testing.T) {
		group := localtest.Group(t)
		dir = group.State()
		free, err := ports.Free(1)
		if err != nil {
			t.Fatal(err)
		}
		o := database.Options{Dir: filepath.Join(dir, "db"), Port: free[0], NoSync: true}
		if _, err := database.Start(t.Context(), group, o); err != nil {
			t.Fatal(err)
		}
	})
	if left, err := proc.Leftovers(dir); err != nil || len(left) > 0 {
		t.Errorf("left over: %q, %v", left, err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the folder is left")
	}
}

func TestWithNamesTheServersAndPassesTheExitCode(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real API server")
	}
	out := filepath.Join(t.TempDir(), "out")
	script := fmt.Sprintf(`echo "$%s $%s" > %s; exit 7`, localtest.DatabaseVariable, localtest.KubeconfigVariable, out)
	code, err := localtest.With(t.Context(), "sh", "-c", script)
	if err != nil || code != 7 {
		t.Fatalf("exit code %d, %v", code, err)
	}
	var url, kubeconfig string
	data, _ := os.ReadFile(out)
	if n, _ := fmt.Sscan(string(data), &url, &kubeconfig); n != 2 {
		t.Errorf("the command saw %q", data)
	}
}
