package pod

import (
	"context"
	"fmt"

	"dario.cat/mergo"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skein-project/skein/plugins"
)

// template is the pod template below a task's pod: the one that the task names,
// which must be there, else the platform's, which need not be. It is looked up
// in the task's namespace first, then in the platform's.
func (r *Runner) template(ctx context.Context, task plugins.Task) (*corev1.PodTemplate, error) {
	named := task.Template.GetMetadata().GetPodTemplateName()
	name := first(named, r.Config.Template)
	if name == "" {
		return nil, nil
	}
	for _, namespace := range []string{task.Namespace, r.Config.TemplateNamespace} {
		if namespace == "" {
			continue
		}
		found, err := r.lookUp(ctx, client.ObjectKey{Namespace: namespace, Name: name})
		if err != nil || found != nil {
			return found, err
		}
	}
	if named == "" {
		return nil, nil
	}
	return nil, bad("pod template %q is neither in namespace %s nor in %s of this cluster: create it there, or name another as pod_template_name",
		named, task.Namespace, first(r.Config.TemplateNamespace, "the platform's"))
}

// lookUp reads a template from the cache, and asks the API server before it
// says that there is none: one that was made just now is no mistake.
func (r *Runner) lookUp(ctx context.Context, key client.ObjectKey) (*corev1.PodTemplate, error) {
	for _, from := range []client.Reader{r.Client, r.Live} {
		found := &corev1.PodTemplate{}
		err := from.Get(ctx, key, found)
		if err == nil {
			return found, nil
		}
		if !apierrors.IsNotFound(err) {
			return nil, fmt.Errorf("read pod template %s: %w", key, err)
		}
	}
	return nil, nil
}

// Names of containers in a pod template that stand for others.
const (
	baseAll         = "default" // below every container
	basePrimary     = "primary" // below the one that is the task
	baseInit        = "default-init"
	basePrimaryInit = "primary-init"
)

// merge lays a pod over a template as Flyte does: what the pod says wins, lists
// are appended to the template's, and the template's containers are no
// containers of the pod but what lies below those.
func merge(pod *corev1.Pod, base *corev1.PodTemplate, primary, primaryInit string) (*corev1.Pod, error) {
	below := base.Template.DeepCopy()
	containers, err := mergeContainers(pod.Spec.Containers, below.Spec.Containers, baseAll, basePrimary, primary)
	if err != nil {
		return nil, err
	}
	inits, err := mergeContainers(pod.Spec.InitContainers, below.Spec.InitContainers, baseInit, basePrimaryInit, primaryInit)
	if err != nil {
		return nil, err
	}
	out := &corev1.Pod{Spec: below.Spec}
	if err := over(&out.Spec, pod.Spec); err != nil {
		return nil, err
	}
	out.Spec.Containers, out.Spec.InitContainers = containers, inits
	out.Labels, out.Annotations = union(below.Labels, pod.Labels), union(below.Annotations, pod.Annotations)
	return out, nil
}

func mergeContainers(of, bases []corev1.Container, all, special, specialFor string) ([]corev1.Container, error) {
	out := make([]corev1.Container, 0, len(of))
	for _, c := range of {
		merged := corev1.Container{}
		for _, name := range []string{all, special} {
			if name == special && c.Name != specialFor {
				continue
			}
			for i := range bases {
				if bases[i].Name != name {
					continue
				}
				if err := over(&merged, *bases[i].DeepCopy()); err != nil {
					return nil, err
				}
			}
		}
		if err := over(&merged, c); err != nil {
			return nil, err
		}
		out = append(out, merged)
	}
	return out, nil
}

// over lays what is set in one value over another.
func over[T any](below *T, above T) error {
	if err := mergo.Merge(below, above, mergo.WithOverride, mergo.WithAppendSlice); err != nil {
		return bad("the pod does not go over its pod template: %v", err)
	}
	return nil
}
