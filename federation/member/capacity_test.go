package member_test

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skein-project/skein/federation/member"
)

func TestKindsOfNodes(t *testing.T) {
	node := func(labels map[string]string, ready, cordoned bool, extended ...corev1.ResourceName) corev1.Node {
		n := corev1.Node{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.NodeSpec{Unschedulable: cordoned}}
		n.Status.Allocatable = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("4")}
		for _, r := range extended {
			n.Status.Allocatable[r] = resource.MustParse("2")
		}
		if ready {
			n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
		}
		return n
	}
	system := node(nil, true, false)
	system.Status.NodeInfo.Architecture = "amd64"
	none := node(map[string]string{"kubernetes.io/arch": "amd64"}, true, false)
	none.Status.Allocatable["nvidia.com/gpu"] = resource.MustParse("0")
	architectures, accelerators := member.Kinds([]corev1.Node{
		system, none,
		node(map[string]string{"kubernetes.io/arch": "arm64", "nvidia.com/gpu.product": "NVIDIA-A100-SXM4-40GB"}, true, false, "nvidia.com/gpu"),
		node(map[string]string{"kubernetes.io/arch": "arm64", "cloud.google.com/gke-accelerator": "nvidia-tesla-t4"}, true, false),
		node(map[string]string{"kubernetes.io/arch": "s390x"}, false, false, "amd.com/gpu"),
		node(map[string]string{"kubernetes.io/arch": "riscv64"}, true, true, "amd.com/gpu"),
	})
	if want := []string{"amd64", "arm64"}; !slices.Equal(architectures, want) {
		t.Errorf("architectures %q, want %q", architectures, want)
	}
	if want := []string{"nvidia-a100-sxm4-40gb", "nvidia-tesla-t4", "nvidia.com/gpu"}; !slices.Equal(accelerators, want) {
		t.Errorf("accelerators %q, want %q", accelerators, want)
	}
}
