package author

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/skein-project/skein/cmd/internal/local/federationtest"
	"github.com/skein-project/skein/deploy/local/proc"
	"github.com/skein-project/skein/deploy/local/venv"
)

func TestMain(m *testing.M) { federationtest.Main(m) }

// patience bounds everything, on a busy machine.
const patience = 10 * time.Minute

// steps are what a demo of an author promises, in order.
var steps = []string{"flytekit-register", "flytekit-run", "flytekit-outputs", "flytekit-file", "flytekit-deck", "flytekit-retry", "flytekit-placement"}

// screen is what a program has printed so far.
type screen struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write takes what the program prints.
func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// TestDemoFlytekit starts a demo for an author, which stays up, and a second
// one on the same state, which joins it. The first goes when it is told to.
func TestDemoFlytekit(t *testing.T) {
	if testing.Short() {
		t.Skip("a whole federation and Python take minutes")
	}
	if _, err := venv.Ensure(t.Context(), func(line string) { t.Log(line) }); errors.Is(err, venv.ErrUnavailable) {
		fmt.Fprintln(os.Stdout, venv.SkipLine)
		t.SkipNow()
	} else if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	state := federationtest.State(t)
	demo := func(out *screen, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, filepath.Join(federationtest.Binaries(t), "skein"), append([]string{"demo", "--flytekit", "--state", state,
			"--grpc-port", "0", "--http-port", "0", "--api-port", "0"}, args...)...)
		cmd.Stdout, cmd.Stderr, cmd.WaitDelay = out, out, time.Second
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		return cmd
	}
	var first, second screen
	own := demo(&first)
	if err := own.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- own.Wait() }()
	t.Cleanup(func() { _ = own.Process.Kill() })
	await(t, ctx, &first, ended)
	passed(t, first.String())

	if err := demo(&second).Run(); err != nil {
		t.Errorf("the demo that joined ended with %v", err)
	}
	passed(t, second.String())
	if !strings.Contains(second.String(), "joining it") || strings.Contains(second.String(), "Kubernetes tools") {
		t.Errorf("it did not join the one that runs; it printed:\n%s", second.String())
	}
	byHand(t, state)
	select {
	case err := <-ended:
		t.Fatalf("the first demo ended with the second: %v", err)
	default:
	}
	if err := own.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("the first demo ended with %v", err)
	}
	if left, err := proc.Leftovers(state); err != nil || len(left) > 0 {
		t.Errorf("left over: %q, %v", left, err)
	}
}

// await waits until the demo has shown everything, and says where it is.
func await(t *testing.T, ctx context.Context, out *screen, ended <-chan error) {
	t.Helper()
	for !strings.Contains(out.String(), "Everything stays up") {
		select {
		case err := <-ended:
			t.Fatalf("the demo ended with %v; it printed:\n%s", err, out)
		case <-ctx.Done():
			t.Fatalf("not within %s; it printed:\n%s", patience, out)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// passed holds what was printed to its promises: every step, in order, and
// each command as an author would type it.
func passed(t *testing.T, out string) {
	t.Helper()
	rest := out
	for _, step := range steps {
		_, after, found := strings.Cut(rest, "\nDEMO OK "+step+"\n")
		if !found {
			t.Errorf("no line DEMO OK %s where it belongs; printed was:\n%s", step, out)
			return
		}
		rest = after
	}
	for _, command := range []string{"$ pyflyte register ", "$ pyflyte run --remote ", "$ skein get bouquet-", "$ skein explain bouquet-", "2 x rose\n", "the tap is dry"} {
		if !strings.Contains(out, command) {
			t.Errorf("%q was not printed", command)
		}
	}
}
