package fit

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

func cpu(amount string) corev1.ResourceRequirements {
	return corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(amount)}}
}

func TestRequests(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	pod := &corev1.Pod{Spec: corev1.PodSpec{
		InitContainers: []corev1.Container{{Resources: cpu("1")}, {Resources: cpu("2"), RestartPolicy: &always}, {Resources: cpu("4")}},
		Containers:     []corev1.Container{{Resources: cpu("1")}, {Resources: cpu("1500m")}},
	}}
	if got := Requests(pod)[corev1.ResourceCPU]; got.String() != "6" {
		t.Errorf("the init container beside its side-car needs 6, got %s", got.String())
	}
	pod.Spec.Containers[0].Resources = cpu("3")
	if got := Requests(pod)[corev1.ResourceCPU]; got.String() != "6500m" {
		t.Errorf("the main containers and the side-car need 6500m, got %s", got.String())
	}
}

func TestWhy(t *testing.T) {
	node := func() *corev1.Node {
		n := &corev1.Node{}
		n.Name, n.Labels = "n", map[string]string{"zone": "a"}
		n.Status.Allocatable = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("4"), corev1.ResourcePods: resource.MustParse("2")}
		return n
	}
	affinity := func(op corev1.NodeSelectorOperator, values ...string) *corev1.Affinity {
		return &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
			NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "zone", Operator: op, Values: values}}}},
		}}}
	}
	taint := func(n *corev1.Node) {
		n.Spec.Taints = []corev1.Taint{{Key: "gpu", Value: "x", Effect: corev1.TaintEffectNoSchedule}}
	}
	for _, c := range []struct {
		name string
		node func(*corev1.Node)
		pod  corev1.PodSpec
		used string
		want string
	}{
		{name: "fits", used: "3"},
		{name: "no room", used: "3500m", want: "Insufficient cpu"},
		{name: "cordoned", node: func(n *corev1.Node) { n.Spec.Unschedulable = true }, want: "unschedulable"},
		{name: "tainted", node: taint, want: "untolerated taint {gpu: x}"},
		{name: "tolerated", node: taint, pod: corev1.PodSpec{Tolerations: []corev1.Toleration{{Key: "gpu", Operator: corev1.TolerationOpExists}}}},
		{name: "tolerates another value", node: taint, pod: corev1.PodSpec{Tolerations: []corev1.Toleration{{Key: "gpu", Value: "y"}}}, want: "taint"},
		{name: "tolerates all", node: taint, pod: corev1.PodSpec{Tolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists}}}},
		{name: "selector", pod: corev1.PodSpec{NodeSelector: map[string]string{"zone": "b"}}, want: "selector"},
		{name: "affinity holds", pod: corev1.PodSpec{Affinity: affinity(corev1.NodeSelectorOpIn, "a", "b")}},
		{name: "affinity does not hold", pod: corev1.PodSpec{Affinity: affinity(corev1.NodeSelectorOpNotIn, "a")}, want: "affinity"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := node()
			if c.node != nil {
				c.node(n)
			}
			c.pod.Containers = []corev1.Container{{Resources: cpu("1")}}
			used := corev1.ResourceList{}
			if c.used != "" {
				used = cpu(c.used).Requests
			}
			got := Why(&corev1.Pod{Spec: c.pod}, n, used)
			if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
