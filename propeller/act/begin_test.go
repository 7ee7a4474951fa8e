package act

import (
	"context"
	"errors"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/propeller/workflow"
)

// unread is an object store in which nothing can be read.
type unread struct{ kind fault.Kind }

func (u unread) Read(context.Context, string) ([]byte, error) { return nil, fault.E(u.kind, "no") }
func (unread) Write(context.Context, string, []byte) error    { return nil }

func TestInputsThatCannotBeReadEndAtLast(t *testing.T) {
	for _, c := range []struct {
		name string
		kind fault.Kind
		age  time.Duration
		ends bool
	}{
		{"missing for a moment", fault.NotFound, time.Minute, false},
		{"missing for long", fault.NotFound, time.Hour, true},
		{"too large", fault.Exhausted, 0, true},
		{"the store is away", fault.Unavailable, time.Hour, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			tn := &turn{Actor: New(Options{Blobs: unread{c.kind}}), wf: &v1alpha1.FlyteWorkflow{}}
			tn.w.View.Now = time.Now()
			tn.wf.CreationTimestamp = metav1.NewTime(tn.w.View.Now.Add(-c.age))
			tn.wf.Spec.InputsURI = "inputs"
			var never *workflow.Failure
			if err := tn.begin(t.Context(), "out"); err == nil || errors.As(err, &never) != c.ends {
				t.Errorf("got %v", err)
			}
		})
	}
}
