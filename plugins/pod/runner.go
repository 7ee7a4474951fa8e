package pod

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skein-project/skein/plugins"
)

// Options are what a Runner needs.
type Options struct {
	Client client.Client // reads from a cache: of pods those that carry LabelManaged, of pod templates all
	Live   client.Reader // reads from the API server
	Config Config
	Now    func() time.Time // nil: time.Now
}

// Runner starts, observes and aborts attempts as pods, for the plugins that
// name the task types.
type Runner struct{ Options }

// NewRunner makes a Runner.
func NewRunner(o Options) *Runner {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Runner{o}
}

// Start creates the attempt's pod.
func (r *Runner) Start(ctx context.Context, task plugins.Task) error {
	base, err := r.template(ctx, task)
	if err != nil {
		return err
	}
	pod, err := Build(task, r.Config, base)
	if err != nil {
		return err
	}
	err = r.Client.Create(ctx, pod)
	if apierrors.IsAlreadyExists(err) {
		return r.adopt(ctx, task)
	}
	return createError(err)
}

// adopt accepts the pod that an earlier Start has made, and no other.
func (r *Runner) adopt(ctx context.Context, task plugins.Task) error {
	there := &corev1.Pod{}
	if err := r.Live.Get(ctx, client.ObjectKey{Namespace: task.Namespace, Name: task.Name}, there); err != nil {
		return fmt.Errorf("read pod %s: %w", task.Name, err)
	}
	if owner := metav1.GetControllerOf(there); owner == nil || owner.UID != task.Owner.UID {
		return fmt.Errorf("pod %s exists and belongs to somebody else", task.Name)
	}
	return nil
}

// Observe reads the attempt's pod from the cache.
func (r *Runner) Observe(ctx context.Context, ref plugins.Ref) (plugins.Status, error) {
	pod := &corev1.Pod{}
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}, pod, client.UnsafeDisableDeepCopy)
	if apierrors.IsNotFound(err) {
		return remember(plugins.Status{Missing: true}, ref.State), nil
	}
	if err != nil {
		return plugins.Status{}, fmt.Errorf("read pod %s: %w", ref.Name, err)
	}
	return remember(Read(pod, r.Config, r.Now()), ref.State), nil
}

// Abort deletes the attempt's pod, and is done when the API server has none.
func (r *Runner) Abort(ctx context.Context, ref plugins.Ref) (bool, error) {
	key := client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ref.Namespace, Name: ref.Name}}
	err := r.Client.Delete(ctx, pod)
	if apierrors.IsNotFound(err) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("delete pod %s: %w", ref.Name, err)
	}
	there := &corev1.Pod{}
	err = r.Live.Get(ctx, key, there)
	if apierrors.IsNotFound(err) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("read pod %s: %w", ref.Name, err)
	}
	if givenUp(there, r.Config, r.Now()) { // its node is gone: nobody else will remove it
		err = client.IgnoreNotFound(r.Client.Delete(ctx, there, client.GracePeriodSeconds(0)))
		return err == nil, err
	}
	return false, nil
}
