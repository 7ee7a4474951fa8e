package container

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Source reads what a pod refers to. Errors are the API server's.
type Source interface {
	Secret(ctx context.Context, namespace, name string) (*corev1.Secret, error)
	ConfigMap(ctx context.Context, namespace, name string) (*corev1.ConfigMap, error)
	// Token issues a token for the pod's service account.
	Token(ctx context.Context, pod *corev1.Pod, from *corev1.ServiceAccountTokenProjection) (string, error)
	// RootCA is the certificate authority of the API server, in PEM.
	RootCA() []byte
}

// environment collects a container's own variables: envFrom first, then env in
// its order, the last one of a name winning.
func (b *Builder) environment(ctx context.Context, pod *corev1.Pod, c *corev1.Container) (map[string]string, error) {
	env := map[string]string{}
	for _, from := range c.EnvFrom {
		values, err := b.envFrom(ctx, pod.Namespace, from)
		if err != nil {
			return nil, err
		}
		for name, value := range values {
			env[from.Prefix+name] = value
		}
	}
	known := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	for _, v := range c.Env {
		if v.ValueFrom == nil {
			env[v.Name] = expand(v.Value, known)
			continue
		}
		value, ok, err := b.valueFrom(ctx, pod, c, v.ValueFrom)
		if err != nil {
			return nil, err
		}
		if ok {
			env[v.Name] = value
		}
	}
	return env, nil
}

func (b *Builder) envFrom(ctx context.Context, namespace string, from corev1.EnvFromSource) (map[string]string, error) {
	switch {
	case from.SecretRef != nil:
		data, err := b.secret(ctx, namespace, from.SecretRef.Name, from.SecretRef.Optional)
		return text(data), err
	case from.ConfigMapRef != nil:
		data, err := b.configMap(ctx, namespace, from.ConfigMapRef.Name, from.ConfigMapRef.Optional)
		return text(data), err
	}
	return nil, nil
}

// valueFrom gives one referenced value; false where an optional one is missing.
func (b *Builder) valueFrom(ctx context.Context, pod *corev1.Pod, c *corev1.Container, from *corev1.EnvVarSource) (string, bool, error) {
	var data map[string][]byte
	var err error
	var kind, name, key string
	var optional *bool
	switch {
	case from.FieldRef != nil:
		value, err := field(pod, from.FieldRef.FieldPath)
		return value, err == nil, err
	case from.ResourceFieldRef != nil:
		value, err := b.resourceField(pod, c, from.ResourceFieldRef)
		return value, err == nil, err
	case from.SecretKeyRef != nil:
		kind, name, key, optional = "Secret", from.SecretKeyRef.Name, from.SecretKeyRef.Key, from.SecretKeyRef.Optional
		data, err = b.secret(ctx, pod.Namespace, name, optional)
	case from.ConfigMapKeyRef != nil:
		kind, name, key, optional = "ConfigMap", from.ConfigMapKeyRef.Name, from.ConfigMapKeyRef.Key, from.ConfigMapKeyRef.Optional
		data, err = b.configMap(ctx, pod.Namespace, name, optional)
	default:
		return "", false, fmt.Errorf("unsupported valueFrom")
	}
	if err != nil {
		return "", false, err
	}
	value, ok := data[key]
	if !ok && !isTrue(optional) {
		return "", false, fmt.Errorf("couldn't find key %s in %s %s/%s", key, kind, pod.Namespace, name)
	}
	return string(value), ok, nil
}

// secret reads a secret; a missing optional one is empty.
func (b *Builder) secret(ctx context.Context, namespace, name string, optional *bool) (map[string][]byte, error) {
	s, err := b.Source.Secret(ctx, namespace, name)
	if err != nil {
		return nil, unlessOptional(err, optional)
	}
	return s.Data, nil
}

// configMap reads a config map, text and binary; a missing optional one is empty.
func (b *Builder) configMap(ctx context.Context, namespace, name string, optional *bool) (map[string][]byte, error) {
	m, err := b.Source.ConfigMap(ctx, namespace, name)
	if err != nil {
		return nil, unlessOptional(err, optional)
	}
	data := maps.Clone(m.BinaryData)
	if data == nil {
		data = map[string][]byte{}
	}
	for k, v := range m.Data {
		data[k] = []byte(v)
	}
	return data, nil
}

func unlessOptional(err error, optional *bool) error {
	if isTrue(optional) && apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

func isTrue(b *bool) bool { return b != nil && *b }

func text(data map[string][]byte) map[string]string {
	out := make(map[string]string, len(data))
	for k, v := range data {
		out[k] = string(v)
	}
	return out
}

// base is the environment from zero, before the pod's own variables. Python may
// read the byte code that the venv has but writes none beside it.
func (b *Builder) base(folder Folder) map[string]string {
	env := map[string]string{
		"PATH":                    strings.Join(b.searchPath(), ":"),
		"HOME":                    folder.Home(),
		"TMPDIR":                  folder.ShortTmp,
		"LANG":                    "C.UTF-8",
		"PYTHONDONTWRITEBYTECODE": "1",
	}
	if b.VenvBin != "" {
		env["VIRTUAL_ENV"] = strings.TrimSuffix(strings.TrimSuffix(b.VenvBin, "/"), "/bin")
	}
	return env
}

// merge puts the pod's variables over the base. PATH is the exception: the
// pod's is that of an image which is not there, so ours is searched first.
func (b *Builder) merge(base, own map[string]string, table *paths) []string {
	for name, value := range own {
		value = table.rewrite(value)
		if name == "PATH" {
			value = strings.Join(append(slices.Clone(b.ownBins()), value), ":")
		}
		base[name] = value
	}
	out := make([]string, 0, len(base))
	for name, value := range base {
		out = append(out, name+"="+value)
	}
	sort.Strings(out)
	return out
}
