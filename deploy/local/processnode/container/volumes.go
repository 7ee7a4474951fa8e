package container

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// rootCAConfigMap is published into each namespace by a controller that a bare
// API server does not have; the default service account's volume names it.
const rootCAConfigMap = "kube-root-ca.crt"

// Volumes makes the pod's volumes below dir and returns the real path of each.
// It can be called again after an error, which means: not mounted yet. Later
// changes of a secret or config map are not followed.
func (b *Builder) Volumes(ctx context.Context, pod *corev1.Pod, dir string) (map[string]string, error) {
	real := map[string]string{}
	for i := range pod.Spec.Volumes {
		v := &pod.Spec.Volumes[i]
		path, err := b.volume(ctx, pod, v, filepath.Join(dir, v.Name))
		if err != nil {
			return nil, fmt.Errorf("mount volume %q: %w", v.Name, err)
		}
		real[v.Name] = path
	}
	return real, nil
}

func (b *Builder) volume(ctx context.Context, pod *corev1.Pod, v *corev1.Volume, path string) (string, error) {
	if v.HostPath != nil {
		return b.hostPath(v.HostPath)
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return "", err
	}
	switch {
	case v.EmptyDir != nil:
		return path, nil
	case v.Secret != nil:
		data, err := b.secret(ctx, pod.Namespace, v.Secret.SecretName, v.Secret.Optional)
		if err != nil {
			return "", err
		}
		return path, write(path, data, v.Secret.Items, v.Secret.DefaultMode, v.Secret.Optional)
	case v.ConfigMap != nil:
		data, err := b.configMap(ctx, pod.Namespace, v.ConfigMap.Name, v.ConfigMap.Optional)
		if err != nil {
			return "", err
		}
		return path, write(path, data, v.ConfigMap.Items, v.ConfigMap.DefaultMode, v.ConfigMap.Optional)
	case v.DownwardAPI != nil:
		return path, b.downward(pod, path, v.DownwardAPI.Items, v.DownwardAPI.DefaultMode)
	case v.Projected != nil:
		return path, b.projected(ctx, pod, path, v.Projected)
	}
	return "", fmt.Errorf("volumes of this type are not supported by the process node agent")
}

func (b *Builder) hostPath(v *corev1.HostPathVolumeSource) (string, error) {
	path := filepath.Clean(v.Path)
	if b.StorePrefix == "" || !within(path, filepath.Clean(b.StorePrefix)) {
		return "", fmt.Errorf("hostPath %s does not lie in the object store's folder", v.Path)
	}
	if v.Type != nil && *v.Type == corev1.HostPathDirectoryOrCreate {
		return path, os.MkdirAll(path, 0o755)
	}
	_, err := os.Stat(path)
	return path, err
}

func (b *Builder) downward(pod *corev1.Pod, path string, items []corev1.DownwardAPIVolumeFile, mode *int32) error {
	for _, item := range items {
		var value string
		var err error
		switch {
		case item.FieldRef != nil:
			value, err = field(pod, item.FieldRef.FieldPath)
		case item.ResourceFieldRef != nil:
			value, err = b.resourceField(pod, nil, item.ResourceFieldRef)
		}
		if err != nil {
			return err
		}
		if err := writeFile(path, item.Path, []byte(value), firstMode(item.Mode, mode)); err != nil {
			return err
		}
	}
	return nil
}

func (b *Builder) projected(ctx context.Context, pod *corev1.Pod, path string, v *corev1.ProjectedVolumeSource) error {
	for _, s := range v.Sources {
		if err := b.projection(ctx, pod, path, s, v.DefaultMode); err != nil {
			return err
		}
	}
	return nil
}

func (b *Builder) projection(ctx context.Context, pod *corev1.Pod, path string, s corev1.VolumeProjection, mode *int32) error {
	switch {
	case s.Secret != nil:
		data, err := b.secret(ctx, pod.Namespace, s.Secret.Name, s.Secret.Optional)
		if err != nil {
			return err
		}
		return write(path, data, s.Secret.Items, mode, s.Secret.Optional)
	case s.ConfigMap != nil:
		data, err := b.configMap(ctx, pod.Namespace, s.ConfigMap.Name, s.ConfigMap.Optional)
		if apierrors.IsNotFound(err) && s.ConfigMap.Name == rootCAConfigMap {
			data, err = map[string][]byte{"ca.crt": b.Source.RootCA()}, nil
		}
		if err != nil {
			return err
		}
		return write(path, data, s.ConfigMap.Items, mode, s.ConfigMap.Optional)
	case s.DownwardAPI != nil:
		return b.downward(pod, path, s.DownwardAPI.Items, mode)
	case s.ServiceAccountToken != nil:
		token, err := b.Source.Token(ctx, pod, s.ServiceAccountToken)
		if err != nil {
			return nil // a bare API server may have no such account; a task container needs no token
		}
		return writeFile(path, s.ServiceAccountToken.Path, []byte(token), 0o600)
	}
	return fmt.Errorf("projected volumes of this type are not supported by the process node agent")
}

// write writes all keys, or the chosen ones under their chosen paths.
func write(dir string, data map[string][]byte, items []corev1.KeyToPath, mode *int32, optional *bool) error {
	if len(items) == 0 {
		for _, key := range slices.Sorted(maps.Keys(data)) {
			items = append(items, corev1.KeyToPath{Key: key, Path: key})
		}
	}
	for _, item := range items {
		value, ok := data[item.Key]
		if !ok && isTrue(optional) {
			continue
		}
		if !ok {
			return fmt.Errorf("references non-existent key: %s", item.Key)
		}
		if err := writeFile(dir, item.Path, value, firstMode(item.Mode, mode)); err != nil {
			return err
		}
	}
	return nil
}

func firstMode(modes ...*int32) os.FileMode {
	for _, m := range modes {
		if m != nil {
			return os.FileMode(*m) & os.ModePerm
		}
	}
	return 0o644
}

// writeFile replaces the file, which may be read-only after an earlier try.
func writeFile(dir, name string, data []byte, mode os.FileMode) error {
	if !filepath.IsLocal(name) {
		return fmt.Errorf("path %q leaves its volume", name)
	}
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return err
	}
	return os.WriteFile(path, data, mode)
}
