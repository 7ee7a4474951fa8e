package pod

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Config is what a platform decides about pods.
type Config struct {
	// Defaults are requests of tasks that say nothing; Limits cap what tasks say.
	Defaults ResourceConfig
	Limits   ResourceConfig

	StoreHostPath string            // folder of the object store, mounted at the same path; empty: none
	DefaultEnv    map[string]string // of every container, such as the object store's credentials
	ConsoleURL    string            // console's root, for FLYTE_EXECUTION_URL; empty: not set
	Labels        map[string]string
	Annotations   map[string]string

	// Template is the pod template below tasks that name none; it need not
	// exist. TemplateNamespace is looked in after the task's own namespace.
	Template          string
	TemplateNamespace string

	ServiceAccount   string // of tasks and executions that name none
	ImagePullSecrets []string
	NodeSelector     map[string]string
	Tolerations      []corev1.Toleration
	SchedulerName    string

	InterruptibleSelector    map[string]string
	InterruptibleTolerations []corev1.Toleration

	GPUResource         string // Kubernetes' name for a GPU
	GPUDeviceLabel      string // label and taint of nodes: which accelerator they have
	GPUPartitionLabel   string // label and taint of nodes: the size of its partitions
	ResourceTolerations map[corev1.ResourceName][]corev1.Toleration

	CopilotImage     string
	CopilotStore     []string // flags that tell copilot where the object store lies
	CopilotResources ResourceConfig

	ImagePullGrace       time.Duration // how long an image may be retried
	CreateContainerGrace time.Duration
	MountGrace           time.Duration // how long a pod may wait for secrets that it mounts
	PendingTimeout       time.Duration // how long a pod may be pending at all; 0: for ever
	DeletionGrace        time.Duration // beyond a deleted pod's own, until it is given up
}

// Default is for small clusters and for one machine.
func Default() Config {
	return Config{
		Defaults: ResourceConfig{CPU: "100m", Memory: "512Mi"}, Limits: ResourceConfig{Memory: "1Gi"},
		Annotations: map[string]string{"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"},
		GPUResource: "nvidia.com/gpu", GPUDeviceLabel: "k8s.amazonaws.com/accelerator", GPUPartitionLabel: "k8s.amazonaws.com/gpu-partition-size",
		CopilotImage: "skein-propeller", CopilotResources: ResourceConfig{CPU: "10m", Memory: "64Mi"},
		ImagePullGrace: 3 * time.Minute, CreateContainerGrace: 3 * time.Minute, MountGrace: 3 * time.Minute, DeletionGrace: time.Minute,
	}
}

// Validate names every amount that cannot be read.
func (c Config) Validate() error {
	for field, r := range map[string]ResourceConfig{"defaults": c.Defaults, "limits": c.Limits, "copilotResources": c.CopilotResources} {
		for name, v := range map[string]string{"cpu": r.CPU, "memory": r.Memory} {
			if _, err := resource.ParseQuantity(v); v != "" && err != nil {
				return fmt.Errorf("%s.%s: %q is not an amount", field, name, v)
			}
		}
	}
	return nil
}

// ResourceConfig is an amount as people write it; an empty field says nothing.
type ResourceConfig struct{ CPU, Memory string }

func (r ResourceConfig) list() corev1.ResourceList {
	l := corev1.ResourceList{}
	for name, v := range map[corev1.ResourceName]string{corev1.ResourceCPU: r.CPU, corev1.ResourceMemory: r.Memory} {
		if q, err := resource.ParseQuantity(v); v != "" && err == nil {
			l[name] = q
		}
	}
	return l
}
