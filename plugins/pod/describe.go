package pod

import (
	"maps"
	"regexp"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/plugins"
)

const (
	annotationPrimary  = "primary_container_name"
	labelInterruptible = "interruptible"
)

// describePod names the pod. Of labels and annotations the later wins: the
// platform's, the pod template's, those of the task's own pod, the execution's,
// the task's; but nothing hides those by which we find the pod again.
func describePod(pod *corev1.Pod, task plugins.Task, primary string, c Config) {
	extra := task.Template.GetMetadata().GetMetadata()
	pod.Labels = union(c.Labels, pod.Labels, task.Labels, extra.GetLabels(), map[string]string{
		v1alpha1.LabelExecution: labelValue(task.Execution.Name), v1alpha1.LabelProject: labelValue(task.Execution.Project),
		v1alpha1.LabelDomain: labelValue(task.Execution.Domain), v1alpha1.LabelWorkflow: labelValue(task.Workflow.Name),
		v1alpha1.LabelNode: labelValue(task.Node), v1alpha1.LabelTask: labelValue(task.Template.GetId().GetName()),
		labelInterruptible: strconv.FormatBool(task.Interruptible), v1alpha1.LabelManaged: "true",
		v1alpha1.LabelEra: strconv.FormatUint(task.Epoch.Era, 10), v1alpha1.LabelEpoch: strconv.FormatUint(task.Epoch.N, 10),
		v1alpha1.LabelIncarnation: strconv.FormatUint(task.Incarnation, 10),
	})
	pod.Annotations = union(c.Annotations, pod.Annotations, task.Annotations, extra.GetAnnotations(),
		map[string]string{annotationPrimary: primary})
	pod.Name, pod.Namespace, pod.OwnerReferences = task.Name, task.Namespace, []metav1.OwnerReference{task.Owner}
}

func union(all ...map[string]string) map[string]string {
	out := map[string]string{}
	for _, m := range all {
		maps.Copy(out, m)
	}
	return out
}

var notLabel = regexp.MustCompile(`[^a-zA-Z0-9._-]`)

// labelValue makes any text a label's value, keeping its end, which tells
// names of Python modules apart.
func labelValue(s string) string {
	s = notLabel.ReplaceAllString(s, "-")
	if len(s) > 63 {
		s = s[len(s)-63:]
	}
	return strings.Trim(s, "._-")
}
