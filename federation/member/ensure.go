package member

import (
	"context"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skein-project/skein/api/crd/v1alpha1"
)

// rooms makes the namespaces of executions, with what pods need in them.
type rooms struct {
	client client.Client
	mu     sync.Mutex
	known  map[string]bool
}

// ensure makes a namespace and its default service account, which a bare API
// server has no controller to make. What was made once is not looked at again,
// until forget.
func (r *rooms) ensure(ctx context.Context, namespace, project, domain string) error {
	r.mu.Lock()
	known := r.known[namespace]
	r.mu.Unlock()
	if known {
		return nil
	}
	labels := map[string]string{v1alpha1.LabelManaged: "true", v1alpha1.LabelProject: label(project), v1alpha1.LabelDomain: label(domain)}
	for _, o := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace, Labels: labels}},
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "default"}},
	} {
		if err := r.client.Create(ctx, o); err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known[namespace] = true
	return nil
}

// forget makes the next ensure look again.
func (r *rooms) forget(namespace string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.known, namespace)
}
