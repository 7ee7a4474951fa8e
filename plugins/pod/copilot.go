package pod

import (
	"encoding/base64"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/plugins"
)

const (
	downloaderName = "flyte-copilot-downloader"
	uploaderName   = "flyte-copilot-uploader"
	volumeInputs   = "flyte-inputs"
	volumeOutputs  = "flyte-outputs"
	defaultInputs  = "/var/flyte/inputs"
	defaultOutputs = "/var/flyte/outputs"
)

// ofCopilot are containers of ours, not of the task.
func ofCopilot(c *corev1.Container) bool { return c.Name == downloaderName || c.Name == uploaderName }

func hasCopilot(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Spec.InitContainers, func(c corev1.Container) bool { return c.Name == uploaderName })
}

// addCopilot puts an init container before the task, which makes files of its
// inputs and whose name it gives, and a native side-car beside it, which makes
// outputs of its files.
func addCopilot(pod *corev1.Pod, task plugins.Task, primary string, d *core.DataLoadingConfig, c Config) (string, error) {
	in, out := d.GetInputPath(), d.GetOutputPath()
	if in == "" {
		in = defaultInputs
	}
	if out == "" {
		out = defaultOutputs
	}
	inputs, err := interfaceFlag(task.Template.GetInterface().GetInputs())
	if err != nil {
		return "", err
	}
	outputs, err := interfaceFlag(task.Template.GetInterface().GetOutputs())
	if err != nil {
		return "", err
	}
	pod.Spec.Volumes = append(pod.Spec.Volumes, emptyDir(volumeInputs), emptyDir(volumeOutputs))
	inMount := corev1.VolumeMount{Name: volumeInputs, MountPath: in}
	outMount := corev1.VolumeMount{Name: volumeOutputs, MountPath: out}
	i := slices.IndexFunc(pod.Spec.Containers, func(one corev1.Container) bool { return one.Name == primary })
	main := &pod.Spec.Containers[i]
	main.VolumeMounts = append(main.VolumeMounts, inMount, outMount)

	always := corev1.ContainerRestartPolicyAlways
	up := copilotContainer(uploaderName, main.Env, c, "sidecar", "--to-raw-output", task.RawPrefix, "--to-output-prefix", task.OutputPrefix,
		"--from-local-dir", out, "--interface", outputs, "--error-file", "error.pb")
	up.RestartPolicy, up.VolumeMounts = &always, []corev1.VolumeMount{outMount}
	// The task must not end before the side-car can hear of it.
	up.StartupProbe = &corev1.Probe{PeriodSeconds: 1, TimeoutSeconds: 10, FailureThreshold: 120, ProbeHandler: corev1.ProbeHandler{
		Exec: &corev1.ExecAction{Command: []string{"skein-propeller", "copilot", "ready", "--from-local-dir", out}}}}
	if d.GetIoStrategy().GetDownloadMode() != core.IOStrategy_DO_NOT_DOWNLOAD {
		down := copilotContainer(downloaderName, main.Env, c, "download", "--from-remote", task.InputsURI, "--to-output-prefix", task.OutputPrefix,
			"--to-local-dir", in, "--format", d.GetFormat().String(), "--input-interface", inputs, "--error-file", "error.pb")
		down.VolumeMounts = []corev1.VolumeMount{inMount}
		pod.Spec.InitContainers = append(pod.Spec.InitContainers, down)
	}
	if d.GetIoStrategy().GetUploadMode() != core.IOStrategy_DO_NOT_UPLOAD {
		pod.Spec.InitContainers = append(pod.Spec.InitContainers, up)
	}
	return downloaderName, nil
}

func copilotContainer(name string, env []corev1.EnvVar, c Config, args ...string) corev1.Container {
	args = append(args, c.CopilotStore...)
	amount := c.CopilotResources.list()
	return corev1.Container{Name: name, Image: c.CopilotImage, Command: []string{"skein-propeller"},
		Args: append([]string{"copilot"}, args...), Env: env,
		Resources:                corev1.ResourceRequirements{Requests: amount, Limits: withBurst(amount)},
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError}
}

// burst is the least CPU that a side-car may use for a moment. It needs next to none, but with a limit of next to none
// it takes seconds to start, and so does each of its probes, which then fail for their timeout.
var burst = resource.MustParse("500m")

// withBurst are the limits that belong to requests.
func withBurst(requests corev1.ResourceList) corev1.ResourceList {
	limits := maps.Clone(requests)
	if cpu, ok := limits[corev1.ResourceCPU]; ok && cpu.Cmp(burst) < 0 {
		limits[corev1.ResourceCPU] = burst
	}
	return limits
}

func emptyDir(name string) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}
}

// interfaceFlag is a VariableMap as copilot takes it: base64 of the message.
func interfaceFlag(m *core.VariableMap) (string, error) {
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return "", &plugins.Failure{Code: "BadTaskFormat", Message: "the task's interface cannot be written: " + err.Error()}
	}
	return base64.StdEncoding.EncodeToString(data), nil
}
