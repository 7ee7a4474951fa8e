package config

import (
	"fmt"
	"slices"
)

// Pods says how task pods are made.
type Pods struct {
	CopilotImage  string            `json:"copilotImage"`
	StoreHostPath bool              `json:"storeHostPath"` // mount the object store's folder at its own path
	Env           map[string]string `json:"env"`           // for every container
	Labels        map[string]string `json:"labels"`
	Annotations   map[string]string `json:"annotations"`

	Template          string `json:"template"`          // PodTemplate below tasks that name none; it need not exist
	TemplateNamespace string `json:"templateNamespace"` // where templates are looked up after the task's namespace

	ServiceAccount   string            `json:"serviceAccount"` // of executions and tasks that name none
	ImagePullSecrets []string          `json:"imagePullSecrets"`
	SchedulerName    string            `json:"schedulerName"`
	NodeSelector     map[string]string `json:"nodeSelector"`
	Tolerations      []Toleration      `json:"tolerations"`
	Interruptible    Interruptible     `json:"interruptible"`
	GPU              GPU               `json:"gpu"`

	ImagePullGrace       Duration `json:"imagePullGrace"`
	CreateContainerGrace Duration `json:"createContainerGrace"`
	MountGrace           Duration `json:"mountGrace"`     // of secrets that are mounted
	PendingTimeout       Duration `json:"pendingTimeout"` // 0: for ever
}

// Interruptible says where interruptible tasks may run besides.
type Interruptible struct {
	NodeSelector map[string]string `json:"nodeSelector"`
	Tolerations  []Toleration      `json:"tolerations"`
}

// GPU says by what names a cluster knows its accelerators.
type GPU struct {
	Resource       string       `json:"resource"`
	DeviceLabel    string       `json:"deviceLabel"`    // also the taint's key
	PartitionLabel string       `json:"partitionLabel"` // also the taint's key
	Tolerations    []Toleration `json:"tolerations"`    // of pods that ask for one
}

// Toleration is Kubernetes' toleration.
type Toleration struct {
	Key      string `json:"key"`
	Operator string `json:"operator"` // Equal, Exists; empty: Equal
	Value    string `json:"value"`
	Effect   string `json:"effect"` // NoSchedule, PreferNoSchedule, NoExecute; empty: all
}

func defaultPods() Pods {
	return Pods{CopilotImage: "skein-propeller", TemplateNamespace: "flyte",
		GPU:            GPU{Resource: "nvidia.com/gpu", DeviceLabel: "k8s.amazonaws.com/accelerator", PartitionLabel: "k8s.amazonaws.com/gpu-partition-size"},
		ImagePullGrace: Seconds(180), CreateContainerGrace: Seconds(180), MountGrace: Seconds(180)}
}

// check reports what no pod could be made with.
func (p *Pods) check(c *checker) {
	for key, list := range map[string][]Toleration{"pods.tolerations": p.Tolerations,
		"pods.interruptible.tolerations": p.Interruptible.Tolerations, "pods.gpu.tolerations": p.GPU.Tolerations} {
		for i, t := range list {
			at := fmt.Sprintf("%s[%d]", key, i)
			if !slices.Contains([]string{"", "Equal", "Exists"}, t.Operator) {
				c.add("%s.operator: must be Equal or Exists, got %q", at, t.Operator)
			}
			if !slices.Contains([]string{"", "NoSchedule", "PreferNoSchedule", "NoExecute"}, t.Effect) {
				c.add("%s.effect: must be NoSchedule, PreferNoSchedule, NoExecute or empty, got %q", at, t.Effect)
			}
			if t.Operator == "Exists" && t.Value != "" {
				c.add("%s.value: must be empty with the operator Exists, got %q", at, t.Value)
			}
		}
	}
	for key, d := range map[string]Duration{"imagePullGrace": p.ImagePullGrace, "createContainerGrace": p.CreateContainerGrace,
		"mountGrace": p.MountGrace, "pendingTimeout": p.PendingTimeout} {
		if d.Duration < 0 {
			c.add("pods.%s: must not be negative, got %s", key, d)
		}
	}
	for key, v := range map[string]string{"resource": p.GPU.Resource, "deviceLabel": p.GPU.DeviceLabel, "partitionLabel": p.GPU.PartitionLabel} {
		c.required("pods.gpu."+key, v)
	}
}
