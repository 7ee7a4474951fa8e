package member

import (
	"fmt"
	"log/slog"
	"testing"

	"google.golang.org/protobuf/proto"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/flow"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
)

func held(n int) flow.Held {
	return flow.Held{Execution: flow.ExecutionID{Project: "p", Domain: "d", Name: fmt.Sprintf("x%d", n)}, Epoch: first}
}

// teller is a member whose cluster holds so many executions, of that size.
func teller(t *testing.T, n, size int) *Member {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	m := &Member{o: Options{Client: fake.NewClientBuilder().WithScheme(scheme).Build(), Clock: systemClock{}}, metrics: newMetrics(nil),
		log: slog.New(slog.DiscardHandler), opened: make(chan struct{}, 1)}
	m.o.Reader = m.o.Client
	for i := range n {
		fw := Render(flow.Assignment{Execution: held(i).Execution, Epoch: first, Desired: flow.DesiredRun, Revision: 3, Run: &flow.Run{Inputs: make([]byte, size)}})
		if err := m.o.Client.Create(t.Context(), fw); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// TestWhatIsToldIsBounded: what is asked for comes in parts of about a MiB, each
// once, the last one says so; what does not exist any more is left out; and no
// more is read than the stream takes.
func TestWhatIsToldIsBounded(t *testing.T) {
	const n, size = 12, 300 << 10
	m := teller(t, n, size)
	l := newLink(nil, nil)
	asked := []flow.Held{held(n)} // is gone
	for i := range n {
		asked = append(asked, held(i))
	}
	ended := make(chan error, 1)
	go func() { ended <- m.tell(t.Context(), l, asked) }()
	told := map[string]int{}
	for last := false; !last; {
		part := (<-l.bulk).GetMessage().(*skeinv1.ConnectRequest_Holdings).Holdings
		if got := proto.Size(part); got > tellPart+2*size {
			t.Errorf("a part of %d bytes", got)
		}
		for _, x := range part.GetList() {
			told[x.GetHeld().GetExecution().GetName()]++
			if x.GetHeld().GetRevision() != 3 || len(x.GetAssignment().GetRun().GetInputs()) != size {
				t.Errorf("%s is not told whole", x.GetHeld().GetExecution().GetName())
			}
		}
		last = part.GetLast()
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if len(told) != n {
		t.Errorf("%d were told, want %d", len(told), n)
	}
	for name, times := range told {
		if times != 1 {
			t.Errorf("%s was told %d times", name, times)
		}
	}
}

// TestWhatAnInventorySaysOfAnAbort: a user's abort is to come about; what was
// stopped since it is not placed here holds nothing.
func TestWhatAnInventorySaysOfAnAbort(t *testing.T) {
	for cause, want := range map[string]flow.Desired{"enough of it": flow.DesiredAbort, notOwned: flow.DesiredGone, movedAway: flow.DesiredGone} {
		fw := Render(flow.Assignment{Execution: held(0).Execution, Epoch: first, Desired: flow.DesiredAbort, Cause: cause})
		if got := heldOf(fw); got.Desired != want || got.Leaving != (cause == movedAway) {
			t.Errorf("aborted since %q: %q, leaving %t, want %q", cause, got.Desired, got.Leaving, want)
		}
	}
}

// TestATombstoneOfNothingTellsNothing: no execution is made again of it in REBUILD.
func TestATombstoneOfNothingTellsNothing(t *testing.T) {
	a := flow.Assignment{Execution: held(0).Execution, Epoch: first, Revision: 2, Incarnation: 1, Desired: flow.DesiredGone, Cause: movedAway}
	if got, err := Assignment(Render(a)); err != nil || got.Run != nil || got.Desired != flow.DesiredGone || got.Revision != 2 {
		t.Errorf("it is read as %+v, %v", got, err)
	}
}

// TestAHelloTellsOfTheFence, over a restart: the FlyteWorkflows tell the highest
// era, and the Fence the incarnation.
func TestAHelloTellsOfTheFence(t *testing.T) {
	m := teller(t, 1, 1)
	if got := m.fenced(t.Context()); got != 0 {
		t.Errorf("without a Fence the incarnation is %d", got)
	}
	if err := m.raise(t.Context(), 4); err != nil {
		t.Fatal(err)
	}
	late := Render(flow.Assignment{Execution: held(9).Execution, Epoch: flow.Epoch{Era: 3, N: 1}, Desired: flow.DesiredRun})
	if err := m.o.Client.Create(t.Context(), late); err != nil {
		t.Fatal(err)
	}
	m.recall(t.Context())
	if got, era := m.fenced(t.Context()), m.state.Era(); got != 4 || era != 3 {
		t.Errorf("incarnation %d, era %d; want 4 and 3", got, era)
	}
	if m.Incarnation() != 0 {
		t.Errorf("it works under incarnation %d before any session has given it one", m.Incarnation())
	}
}
