package controller

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/skein-project/skein/api/crd/v1alpha1"
)

func TestTombstonesAreKeptUntilTheyAreKnown(t *testing.T) {
	now := time.Now()
	scheme := runtime.NewScheme()
	_ = v1alpha1.AddToScheme(scheme)
	for i, c := range []struct {
		phase, acked string
		age          time.Duration
		gone         bool
	}{
		{"RUNNING", "9", 1000 * time.Hour, false},
		{"SUCCEEDED", "9", 23 * time.Hour, false},
		{"SUCCEEDED", "9", 25 * time.Hour, true},
		{"FAILED", "4", 25 * time.Hour, false}, // acked before the end
		{"FAILED", "", 25 * time.Hour, false},
		{"FAILED", "", 8 * 24 * time.Hour, true},
	} {
		ended := metav1.NewMicroTime(now.Add(-c.age))
		wf := &v1alpha1.FlyteWorkflow{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("wf", i), Namespace: "ns", Annotations: map[string]string{v1alpha1.AnnotationAcked: c.acked}},
			Status: v1alpha1.FlyteWorkflowStatus{Phase: c.phase, EndedAt: &ended, Sequence: 7, PhaseSequence: 5}}
		k := fake.NewClientBuilder().WithScheme(scheme).WithObjects(wf).Build()
		one := &Collector{Client: k, TTL: 24 * time.Hour, Unacked: 7 * 24 * time.Hour, Now: func() time.Time { return now }, Log: slog.Default()}
		if err := one.collect(t.Context()); err != nil {
			t.Fatal(err)
		}
		err := k.Get(t.Context(), client.ObjectKeyFromObject(wf), &v1alpha1.FlyteWorkflow{})
		if apierrors.IsNotFound(err) != c.gone {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
