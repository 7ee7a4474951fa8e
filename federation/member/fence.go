package member

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skein-project/skein/api/crd/v1alpha1"
)

// raise raises the cluster's Fence to the incarnation of a Welcome, before
// anything is written in that session: from then on, the API server refuses what
// a process makes that still believes in an earlier one.
//
// A cluster whose manifests are older has no Fence, or does not let us write it.
// It is the last of several guards, so work goes on there, and the log says so.
func (m *Member) raise(ctx context.Context, incarnation uint64) error {
	err := retry.OnError(retry.DefaultBackoff, contended, func() error { return m.raiseOnce(ctx, int64(incarnation)) })
	if meta.IsNoMatchError(err) || apierrors.IsForbidden(err) {
		m.log.Warn("this cluster has no Fence: its API server refuses nothing of an earlier incarnation; apply the manifests of this release", "error", err)
		return nil
	}
	return err
}

// fenceTimeout bounds the look at the Fence before a stream is dialled.
const fenceTimeout = 2 * time.Second

// fenced is the incarnation that the cluster's Fence holds, to be told in the
// Hello: a control plane that knows a lower one has been restored from a backup.
// Zero if it cannot be read. It is not this member's to work under: its
// FlyteWorkflows may be of an earlier one, and are to be refused then.
func (m *Member) fenced(ctx context.Context) uint64 {
	ctx, cancel := context.WithTimeout(ctx, fenceTimeout)
	defer cancel()
	var have v1alpha1.Fence
	if err := m.o.Reader.Get(ctx, client.ObjectKey{Name: v1alpha1.FenceName}, &have); err != nil {
		if client.IgnoreNotFound(err) != nil {
			m.log.Debug("the Fence was not read before a session", "error", err)
		}
		return 0
	}
	return uint64(have.Spec.Incarnation)
}

func contended(err error) bool { return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) }

func (m *Member) raiseOnce(ctx context.Context, incarnation int64) error {
	var have v1alpha1.Fence
	err := m.o.Reader.Get(ctx, client.ObjectKey{Name: v1alpha1.FenceName}, &have)
	if apierrors.IsNotFound(err) {
		return m.o.Client.Create(ctx, &v1alpha1.Fence{
			ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.FenceName},
			Spec:       v1alpha1.FenceSpec{Incarnation: incarnation},
		})
	}
	if err != nil {
		return err
	}
	switch {
	case have.Spec.Incarnation == incarnation:
		return nil
	case have.Spec.Incarnation > incarnation:
		// It never sinks. What the control plane sends will be refused, and said so.
		m.log.Error("the Fence is above the incarnation that the control plane knows: it has forgotten that this cluster was declared lost",
			"fence", have.Spec.Incarnation, "incarnation", incarnation)
		return nil
	}
	have.Spec.Incarnation = incarnation
	return m.o.Client.Update(ctx, &have)
}
