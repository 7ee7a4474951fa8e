package assemble

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/skein-project/skein/cmd/internal/config"
	"github.com/skein-project/skein/plugins"
	"github.com/skein-project/skein/plugins/builtin"
	"github.com/skein-project/skein/plugins/pod"
	"github.com/skein-project/skein/propeller"
)

// builtins makes the plugins that the configuration describes.
func builtins(cfg config.Propeller) func(propeller.Clients) ([]plugins.Plugin, plugins.Plugin) {
	c := builtin.Default()
	podConfig(cfg, &c.Pod)
	return func(clients propeller.Clients) ([]plugins.Plugin, plugins.Plugin) {
		return builtin.All(c, clients.Client, clients.Live)
	}
}

// podConfig lays the configuration over the defaults of plugins/pod.
func podConfig(cfg config.Propeller, c *pod.Config) {
	p := cfg.Pods
	c.Defaults = pod.ResourceConfig{CPU: cfg.Tasks.DefaultCPU, Memory: cfg.Tasks.DefaultMemory}
	c.Limits = pod.ResourceConfig{CPU: cfg.Tasks.LimitCPU, Memory: cfg.Tasks.LimitMemory}
	c.CopilotImage, c.CopilotStore = p.CopilotImage, copilotStore(cfg.ObjectStore)
	c.DefaultEnv, c.Labels = podEnv(cfg), p.Labels
	if p.StoreHostPath {
		c.StoreHostPath = cfg.ObjectStore.Root
	}
	for key, value := range p.Annotations {
		c.Annotations[key] = value
	}
	c.Template, c.TemplateNamespace = p.Template, p.TemplateNamespace
	c.ServiceAccount, c.ImagePullSecrets, c.SchedulerName = p.ServiceAccount, p.ImagePullSecrets, p.SchedulerName
	c.NodeSelector, c.Tolerations = p.NodeSelector, tolerations(p.Tolerations)
	c.InterruptibleSelector, c.InterruptibleTolerations = p.Interruptible.NodeSelector, tolerations(p.Interruptible.Tolerations)
	c.GPUResource, c.GPUDeviceLabel, c.GPUPartitionLabel = p.GPU.Resource, p.GPU.DeviceLabel, p.GPU.PartitionLabel
	c.ResourceTolerations = map[corev1.ResourceName][]corev1.Toleration{corev1.ResourceName(p.GPU.Resource): tolerations(p.GPU.Tolerations)}
	c.ImagePullGrace, c.CreateContainerGrace = p.ImagePullGrace.Duration, p.CreateContainerGrace.Duration
	c.MountGrace, c.PendingTimeout = p.MountGrace.Duration, p.PendingTimeout.Duration
}

func tolerations(list []config.Toleration) []corev1.Toleration {
	var out []corev1.Toleration
	for _, t := range list {
		out = append(out, corev1.Toleration{Key: t.Key, Operator: corev1.TolerationOperator(t.Operator), Value: t.Value, Effect: corev1.TaintEffect(t.Effect)})
	}
	return out
}
