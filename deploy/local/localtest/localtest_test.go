package localtest_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/skein-project/skein/deploy/local/database"
	"github.com/skein-project/skein/deploy/local/localtest"
	"github.com/skein-project/skein/deploy/local/ports"
	"github.com/skein-project/skein/deploy/local/proc"
)

// victimVariable makes this test binary the process that TestNothingOutlivesAKilledProcess kills.
const victimVariable = "SKEIN_LOCALTEST_VICTIM"

func TestMain(m *testing.M) {
	if os.Getenv(victimVariable) != "" {
		code, err := localtest.With(context.Background(), "cat") // which ends when its input does
		fmt.Println(code, err)
		return
	}
	localtest.Main(m)
}

func TestNothingOutlivesAKilledProcess(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real API server")
	}
	root := t.TempDir()
	if err := errors.Join(os.Chmod(root, 0o711), os.Chmod(filepath.Dir(root), 0o711)); err != nil {
		t.Fatal(err)
	}
	victim := exec.Command(os.Args[0])
	victim.Env = append(os.Environ(), victimVariable+"=1", "TMPDIR="+root,
		localtest.DatabaseVariable+"=", localtest.KubeconfigVariable+"=")
	in, err := victim.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	defer victim.Wait()
	defer victim.Process.Kill()
	if _, err := io.WriteString(in, "up\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "up\n" { // cat runs, so all servers do
		t.Fatalf("the victim said %q, %v", line, err)
	}
	found, _ := filepath.Glob(filepath.Join(root, "skein-localtest-*"))
	if len(found) != 1 {
		t.Fatalf("state folders: %q", found)
	}
	if running, err := proc.Leftovers(found[0]); err != nil || len(running) < 4 {
		t.Fatalf("running: %q, %v", running, err)
	}
	_ = victim.Process.Kill()
	deadline := time.Now().Add(10 * time.Second)
	for {
		left, err := proc.Leftovers(found[0])
		if err == nil && len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("left over: %q, %v", left, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

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
