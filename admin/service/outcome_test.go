package service_test

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/skein-project/skein/admin/service"
	"github.com/skein-project/skein/admin/store"
	"github.com/skein-project/skein/admin/store/storetest"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/deploy/local/localtest"
)

// accidents befall the COMMIT of a create. (Invariants I1, I7.)
var accidents = []struct {
	name   string
	befall func(*storetest.Wire) (happened func() bool, later func())
	want   codes.Code
	exists bool
}{
	{"cut before it is sent", cut(false), codes.OK, true},
	{"cut after it has landed", cut(true), codes.OK, true},
	{"a plain no: the disk is full", answers(false, "ERROR", "53100"), codes.ResourceExhausted, false},
	{"a plain no: a disk that fails", answers(false, "ERROR", "58030"), codes.Unavailable, false},
	{"a panic over a full disk, and it has landed", answers(true, "PANIC", "53100"), codes.OK, true},
	{"a panic over a full disk, and it has not", answers(false, "PANIC", "53100"), codes.OK, true},
	{"a shutdown, and it has landed", answers(true, "FATAL", "57P01"), codes.OK, true},
	{"not known to the database, and it has landed", answers(true, "ERROR", "40003"), codes.OK, true},
	{"cut, and the disk is full at the second try", both(cut(true), answers(false, "ERROR", "53100")), codes.OK, true},
	{"still in flight, and the disk is full at the second try", both(late, answers(false, "ERROR", "53100")), codes.Unavailable, true},
	{"still in flight, and the second try is done first", late, codes.OK, true},
}

type befall = func(*storetest.Wire) (func() bool, func())

func cut(landed bool) befall {
	return func(w *storetest.Wire) (func() bool, func()) { return w.Cut(landed), func() {} }
}

func answers(landed bool, severity, state string) befall {
	return func(w *storetest.Wire) (func() bool, func()) { return w.Answer(landed, severity, state), func() {} }
}

func late(w *storetest.Wire) (func() bool, func()) { return w.Late() }

// both befall one after the other; the second need not happen.
func both(first, second befall) befall {
	return func(w *storetest.Wire) (func() bool, func()) {
		happened, later := first(w)
		second(w)
		return happened, later
	}
}

// TestACreateSaysWhatBecameOfIt: whatever befalls its COMMIT, a create that was
// refused has made nothing, and the repeat of one that may have is one execution.
func TestACreateSaysWhatBecameOfIt(t *testing.T) {
	wire := &storetest.Wire{}
	r := newRigOn(t, store.Config{URL: localtest.Database(t), Dial: wire.Dial}, func(*service.Deps) {})
	r.register(t)
	for i, a := range accidents {
		for _, named := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, named %t", a.name, named), func(t *testing.T) {
				q := execution("", "pkg.wf")
				if named {
					q.Name = fmt.Sprintf("one-%d", i)
				}
				before := r.executions(t)
				happened, later := a.befall(wire)
				_, err := r.CreateExecution(t.Context(), q)
				later()
				wire.Spare()
				if !happened() {
					t.Fatal("nothing has befallen the create: the case shows nothing")
				}
				if code(err) != a.want || a.want == codes.ResourceExhausted && !strings.Contains(err.Error(), "disk is full") {
					t.Errorf("answered %v, want %s", err, a.want)
				}
				if made := r.executions(t) - before; made != 0 && made != 1 || (made == 1) != a.exists {
					t.Errorf("%d executions were made, want one: %t", made, a.exists)
				}
				if !named {
					return
				}
				_, err = r.CreateExecution(t.Context(), q)
				if want := map[bool]codes.Code{true: codes.AlreadyExists, false: codes.OK}[a.exists]; code(err) != want {
					t.Errorf("the repeat answered %v, want %s", err, want)
				}
				if made := r.executions(t) - before; made != 1 {
					t.Errorf("%d executions were made by both", made)
				}
			})
		}
	}
}

func (r *rig) executions(t *testing.T) int {
	t.Helper()
	list, err := r.ListExecutions(t.Context(), &admin.ResourceListRequest{
		Id: &admin.NamedEntityIdentifier{Project: "flytesnacks", Domain: "development"}, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	return len(list.GetExecutions())
}
