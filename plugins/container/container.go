// Package container runs a task attempt as one pod: Python tasks, containers
// and raw containers, whose inputs and outputs package copilot carries.
//
// It makes pods and reads them; it does not retry and does not read outputs.
// Whether a pod's exit code 0 is a success is for the propeller to find out.
//
// Invariant: a pod's spec is a function of the attempt and the Config (Build),
// and what a pod means is a function of the pod and the time (Read).
package container

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

// Options are what the plugin needs.
type Options struct {
	Client client.Client // reads from a cache of the pods that carry LabelManaged
	Live   client.Reader // reads from the API server
	Config Config
	Now    func() time.Time // nil: time.Now
}

// Plugin runs containers.
type Plugin struct{ Options }

// New makes the plugin.
func New(o Options) *Plugin {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Plugin{o}
}

// ID is "container".
func (p *Plugin) ID() string { return "container" }

// TaskTypes are those whose target is a container.
func (p *Plugin) TaskTypes() []string { return []string{"python-task", "container", "raw-container"} }

// Start creates the attempt's pod.
func (p *Plugin) Start(ctx context.Context, task plugins.Task) error {
	pod, err := Build(task, p.Config)
	if err != nil {
		return err
	}
	err = p.Client.Create(ctx, pod)
	if apierrors.IsAlreadyExists(err) {
		return p.adopt(ctx, task)
	}
	return createError(err)
}

// adopt accepts the pod that an earlier Start has made, and no other.
func (p *Plugin) adopt(ctx context.Context, task plugins.Task) error {
	there := &corev1.Pod{}
	if err := p.Live.Get(ctx, client.ObjectKey{Namespace: task.Namespace, Name: task.Name}, there); err != nil {
		return fmt.Errorf("read pod %s: %w", task.Name, err)
	}
	if owner := metav1.GetControllerOf(there); owner == nil || owner.UID != task.Owner.UID {
		return fmt.Errorf("pod %s exists and belongs to somebody else", task.Name)
	}
	return nil
}

// Observe reads the attempt's pod from the cache.
func (p *Plugin) Observe(ctx context.Context, ref plugins.Ref) (plugins.Status, error) {
	pod := &corev1.Pod{}
	err := p.Client.Get(ctx, client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}, pod, client.UnsafeDisableDeepCopy)
	if apierrors.IsNotFound(err) {
		return plugins.Status{Missing: true}, nil
	}
	if err != nil {
		return plugins.Status{}, fmt.Errorf("read pod %s: %w", ref.Name, err)
	}
	return Read(pod, p.Config, p.Now()), nil
}

// Abort deletes the attempt's pod, and is done when the API server has none.
func (p *Plugin) Abort(ctx context.Context, ref plugins.Ref) (bool, error) {
	key := client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ref.Namespace, Name: ref.Name}}
	err := p.Client.Delete(ctx, pod)
	if apierrors.IsNotFound(err) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("delete pod %s: %w", ref.Name, err)
	}
	there := &corev1.Pod{}
	err = p.Live.Get(ctx, key, there)
	if apierrors.IsNotFound(err) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("read pod %s: %w", ref.Name, err)
	}
	if givenUp(there, p.Config, p.Now()) { // its node is gone: nobody else will remove it
		err = client.IgnoreNotFound(p.Client.Delete(ctx, there, client.GracePeriodSeconds(0)))
		return err == nil, err
	}
	return false, nil
}
