package pod

import (
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/skein-project/skein/api/flyteidl/core"
)

const (
	volumeSecrets = "skein-secrets"
	secretsFolder = "/etc/flyte/secrets"
	secretsPrefix = "_FSEC_"
)

// addSecrets gives the task's containers the secrets that it asks for (contract
// 21): group names a Kubernetes Secret in the pod's namespace, key an entry of
// it. A variable refers to the entry; files are projected into one folder. The
// kubelet resolves both, so that no value passes through us. A version changes
// where a secret is found by the task, not which one it is.
func addSecrets(pod *corev1.Pod, secrets []*core.Secret) error {
	var env []corev1.EnvVar
	var files []corev1.VolumeProjection
	for _, s := range secrets {
		if s.GetGroup() == "" || s.GetKey() == "" {
			return bad("a secret needs a group, which names a Kubernetes Secret, and a key in it: got group %q and key %q", s.GetGroup(), s.GetKey())
		}
		asFile := s.GetMountRequirement() != core.Secret_ENV_VAR
		if asFile {
			files = append(files, projection(s))
		}
		env = append(env, secretEnv(s, asFile)...)
	}
	if len(secrets) == 0 {
		return nil
	}
	env = append(env, plain("FLYTE_SECRETS_ENV_PREFIX", secretsPrefix))
	if len(files) > 0 {
		env = append(env, plain("FLYTE_SECRETS_DEFAULT_DIR", secretsFolder), plain("FLYTE_SECRETS_FILE_PREFIX", ""))
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: volumeSecrets,
			VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: together(files)}}})
	}
	eachContainer(&pod.Spec, func(c *corev1.Container) {
		if ofCopilot(c) {
			return
		}
		c.Env = append(slices.Clone(c.Env), env...)
		if len(files) > 0 {
			c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: volumeSecrets, MountPath: secretsFolder, ReadOnly: true})
		}
	})
	return nil
}

// secretEnv are the variables of one secret. Any name that the task gives it
// holds the value, unless the task asked for a file: then the file's path.
func secretEnv(s *core.Secret, asFile bool) []corev1.EnvVar {
	var names []string
	if !asFile {
		for _, at := range locations(s) {
			names = append(names, secretsPrefix+strings.ToUpper(strings.Join(at, "_")))
		}
	}
	var env []corev1.EnvVar
	switch own := s.GetEnvVar(); {
	case own == "":
	case s.GetMountRequirement() == core.Secret_FILE:
		env = append(env, plain(own, path.Join(secretsFolder, filePath(locations(s)[0]))))
	default:
		names = append(names, own)
	}
	for _, name := range names {
		env = append(env, corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: s.GetGroup()}, Key: s.GetKey()}}})
	}
	return env
}

// locations are the ways in which a task asks for a secret: with its version,
// if it has one, and without.
func locations(s *core.Secret) [][]string {
	all := [][]string{{s.GetGroup(), s.GetKey()}}
	if v := s.GetGroupVersion(); v != "" {
		all = append(all, []string{s.GetGroup(), v, s.GetKey()})
	}
	return all
}

func filePath(at []string) string { return strings.ToLower(path.Join(at...)) }

func projection(s *core.Secret) corev1.VolumeProjection {
	p := &corev1.SecretProjection{LocalObjectReference: corev1.LocalObjectReference{Name: s.GetGroup()}}
	for _, at := range locations(s) {
		p.Items = append(p.Items, corev1.KeyToPath{Key: s.GetKey(), Path: filePath(at)})
	}
	return corev1.VolumeProjection{Secret: p}
}

// together leaves out paths that were asked for before.
func together(all []corev1.VolumeProjection) []corev1.VolumeProjection {
	seen, out := map[string]bool{}, all[:0]
	for _, p := range all {
		p.Secret.Items = slices.DeleteFunc(p.Secret.Items, func(i corev1.KeyToPath) bool {
			twice := seen[i.Path]
			seen[i.Path] = true
			return twice
		})
		if len(p.Secret.Items) > 0 {
			out = append(out, p)
		}
	}
	return out
}

func plain(name, value string) corev1.EnvVar { return corev1.EnvVar{Name: name, Value: value} }
