package container

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/plugins"
)

const (
	annotationPrimary  = "primary_container_name"
	labelInterruptible = "interruptible"
	volumeStore        = "skein-store"
)

// Build makes the pod of an attempt. Its error is a *plugins.Failure.
func Build(task plugins.Task, c Config) (*corev1.Pod, error) {
	target := task.Template.GetContainer()
	if target == nil {
		return nil, &plugins.Failure{Code: "BadTaskFormat", Message: fmt.Sprintf("a task of type %q has no container to run", task.TaskType)}
	}
	main, err := mainContainer(task, target, c)
	if err != nil {
		return nil, err
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: task.Name, Namespace: task.Namespace, Labels: podLabels(task),
			Annotations: podAnnotations(task, c), OwnerReferences: []metav1.OwnerReference{task.Owner},
		},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, ServiceAccountName: serviceAccount(task),
			SchedulerName: c.SchedulerName, Containers: []corev1.Container{main},
		},
	}
	if task.Interruptible {
		pod.Spec.NodeSelector = c.InterruptibleSelector
		pod.Spec.Tolerations = c.InterruptibleTolerations
	}
	if target.GetDataConfig().GetEnabled() {
		if err := addCopilot(pod, task, target.GetDataConfig(), c); err != nil {
			return nil, err
		}
	}
	mountStore(pod, c.StoreHostPath)
	return pod, nil
}

func mainContainer(task plugins.Task, target *core.Container, c Config) (corev1.Container, error) {
	command, err := render(target.GetCommand(), task)
	if err != nil {
		return corev1.Container{}, err
	}
	args, err := render(target.GetArgs(), task)
	if err != nil {
		return corev1.Container{}, err
	}
	resources, err := podResources(task, target, c)
	if err != nil {
		return corev1.Container{}, err
	}
	image := target.GetImage()
	if o := task.Overrides.GetContainerImage(); o != "" {
		image = o
	}
	out := corev1.Container{Name: task.Name, Image: image, Command: command, Args: args, Resources: resources,
		Env: environment(task, target, c), TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError}
	for _, p := range target.GetPorts() {
		out.Ports = append(out.Ports, corev1.ContainerPort{Name: p.GetName(), ContainerPort: int32(p.GetContainerPort())})
	}
	return out, nil
}

// environment is in the order of contract 18.2: of two of a name the last wins.
func environment(task plugins.Task, target *core.Container, c Config) []corev1.EnvVar {
	var env []corev1.EnvVar
	add := func(name, value string) { env = append(env, corev1.EnvVar{Name: name, Value: value}) }
	for _, e := range target.GetEnv() {
		add(e.GetKey(), e.GetValue())
	}
	e, id := task.Execution, task.Template.GetId()
	workflow := task.LaunchPlan.Name
	if workflow == "" {
		workflow = task.Workflow.Name
	}
	add("FLYTE_INTERNAL_EXECUTION_WORKFLOW", e.Project+":"+e.Domain+":"+workflow)
	add("FLYTE_INTERNAL_EXECUTION_ID", e.Name)
	add("FLYTE_INTERNAL_EXECUTION_PROJECT", e.Project)
	add("FLYTE_INTERNAL_EXECUTION_DOMAIN", e.Domain)
	add("FLYTE_ATTEMPT_NUMBER", strconv.Itoa(int(task.Attempt)))
	if c.ConsoleURL != "" {
		add("FLYTE_EXECUTION_URL", fmt.Sprintf("%s/projects/%s/domains/%s/executions/%s", strings.TrimRight(c.ConsoleURL, "/"), e.Project, e.Domain, e.Name))
	}
	add("FLYTE_INTERNAL_TASK_PROJECT", id.GetProject())
	add("FLYTE_INTERNAL_TASK_DOMAIN", id.GetDomain())
	add("FLYTE_INTERNAL_TASK_NAME", id.GetName())
	add("FLYTE_INTERNAL_TASK_VERSION", id.GetVersion())
	for _, v := range task.Env {
		add(v.Name, v.Value)
	}
	for _, name := range slices.Sorted(maps.Keys(c.DefaultEnv)) {
		add(name, c.DefaultEnv[name])
	}
	if task.Trace != "" {
		add("TRACEPARENT", task.Trace)
	}
	return env
}

func podLabels(task plugins.Task) map[string]string {
	l := map[string]string{}
	maps.Copy(l, task.Labels)
	maps.Copy(l, task.Template.GetMetadata().GetMetadata().GetLabels())
	maps.Copy(l, map[string]string{
		v1alpha1.LabelExecution: labelValue(task.Execution.Name), v1alpha1.LabelProject: labelValue(task.Execution.Project),
		v1alpha1.LabelDomain: labelValue(task.Execution.Domain), v1alpha1.LabelWorkflow: labelValue(task.Workflow.Name),
		v1alpha1.LabelNode: labelValue(task.Node), v1alpha1.LabelTask: labelValue(task.Template.GetId().GetName()),
		labelInterruptible: strconv.FormatBool(task.Interruptible), v1alpha1.LabelManaged: "true",
		v1alpha1.LabelEra: strconv.FormatUint(task.Epoch.Era, 10), v1alpha1.LabelEpoch: strconv.FormatUint(task.Epoch.N, 10),
	})
	return l
}

func podAnnotations(task plugins.Task, c Config) map[string]string {
	a := map[string]string{}
	maps.Copy(a, c.Annotations)
	maps.Copy(a, task.Annotations)
	maps.Copy(a, task.Template.GetMetadata().GetMetadata().GetAnnotations())
	a[annotationPrimary] = task.Name
	return a
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

func serviceAccount(task plugins.Task) string {
	if sa := task.Template.GetSecurityContext().GetRunAs().GetK8SServiceAccount(); sa != "" && task.ServiceAccount == "" {
		return sa
	}
	return task.ServiceAccount
}

// mountStore gives every container the folder of the object store.
func mountStore(pod *corev1.Pod, folder string) {
	if folder == "" {
		return
	}
	pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: volumeStore,
		VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: folder}}})
	mount := corev1.VolumeMount{Name: volumeStore, MountPath: folder}
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			list[i].VolumeMounts = append(list[i].VolumeMounts, mount)
		}
	}
}
