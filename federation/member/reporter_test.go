package member

import (
	"strconv"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/flow"
)

// Thousands of tombstones without news must not hide the one that has some:
// nothing else wakes the reporter for it.
func TestAllThatChangedIsLookedAt(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	m := &Member{o: Options{Client: fake.NewClientBuilder().WithScheme(scheme).Build()}}
	r := newReporter(m)
	r.reset(1, nil)
	for i := range 3*batchEvents + 1 {
		r.touch(flow.ExecutionID{Project: "p", Domain: "d", Name: "x" + strconv.Itoa(i)}, flow.Epoch{Era: 1, N: 1})
	}
	rounds := 1
	for r.gather(t.Context()) {
		rounds++
	}
	if len(r.dirty) > 0 || rounds != 4 {
		t.Errorf("%d are left after %d rounds, want none after 4", len(r.dirty), rounds)
	}
}
