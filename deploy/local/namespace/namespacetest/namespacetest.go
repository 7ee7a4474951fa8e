// Package namespacetest lets a test run itself inside fresh namespaces.
//
// It is for tests only. Invariant: a test that asked for namespaces runs inside them, or prints namespace.SkipLine.
package namespacetest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/skein-project/skein/deploy/local/namespace"
)

// variable tells a test program which test it was started for, inside.
const variable = "SKEIN_TEST_INSIDE"

// grace is how long an interrupted test may clean up.
const grace = time.Minute

// Rerun returns true if this test runs in namespaces already. Else it starts this program again in fresh ones, for this
// test alone, waits for its end, which is the test's own, and returns false: the caller has nothing more to do.
//
//	func TestX(t *testing.T) {
//		if !namespacetest.Rerun(t, namespace.Options{Mounts: true}) {
//			return
//		}
//
// It is to be called first, in a test that is not a subtest. What needs the network, such as downloads, must be there
// before; warm does that, if it is given, outside.
func Rerun(t *testing.T, o namespace.Options, warm ...func()) bool {
	t.Helper()
	if os.Getenv(variable) == t.Name() {
		return true
	}
	s, err := namespace.Open(o)
	if errors.Is(err, namespace.ErrUnavailable) {
		fmt.Fprintln(os.Stderr, namespace.SkipLine)
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	for _, f := range warm {
		f()
	}
	cmd := exec.Command(os.Args[0], arguments(t)...)
	cmd.Env = append(os.Environ(), variable+"="+t.Name())
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := s.Run(t.Context(), cmd, grace); err != nil {
		t.Fatalf("inside fresh namespaces: %v", err)
	}
	return false
}

// arguments are this program's own, for one test.
func arguments(t *testing.T) []string {
	args := []string{"-test.run=^" + regexp.QuoteMeta(t.Name()) + "$", "-test.count=1"}
	for _, a := range os.Args[1:] {
		if name, _, _ := strings.Cut(strings.TrimLeft(a, "-"), "="); name == "test.v" || name == "test.short" || name == "test.timeout" {
			args = append(args, a)
		}
	}
	return args
}
