package demo

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/skein-project/skein/api/fault"
)

// TestWhatIsTold: each end of a demo has a kind, and so an exit code.
func TestWhatIsTold(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name string
		ctx  context.Context //nolint:containedctx // a row of a table
		err  error
		want fault.Kind
	}{
		{"no kind", t.Context(), errors.New("it broke"), fault.Internal},
		{"a kind beneath", t.Context(), fmt.Errorf("start: %w", fault.E(fault.Exhausted, "full")), fault.Exhausted},
		{"interrupted", ended, fmt.Errorf("build: %w", context.Canceled), fault.Precondition},
		{"broken while interrupted", ended, errors.New("it broke"), fault.Internal},
	} {
		if err := told(c.ctx, c.err); fault.Of(err) != c.want {
			t.Errorf("%s: %v is %s, want %s", c.name, err, fault.Of(err), c.want)
		}
	}
	if err := told(ended, nil); err != nil {
		t.Errorf("nothing became %v", err)
	}
}

// TestTyped: what is printed can be pasted.
func TestTyped(t *testing.T) {
	if got := typed([]string{"pyflyte", "run", "--flowers", "a b", "f.py"}); got != "pyflyte run --flowers 'a b' f.py" {
		t.Errorf("got %s", got)
	}
}
