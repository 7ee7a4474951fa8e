package container

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

const rootfsName = "rootfs"

// Folder is the folder of one container.
type Folder struct {
	// Path is the folder itself.
	Path string
	// ShortTmp is a short link to the folder's tmp: programs put Unix sockets
	// below TMPDIR, whose paths may not be longer than 107 bytes.
	ShortTmp string
}

// Rootfs stands for the root of the image's file system.
func (f Folder) Rootfs() string { return filepath.Join(f.Path, rootfsName) }

// Home is HOME.
func (f Folder) Home() string { return filepath.Join(f.Path, "home") }

// Log is the file with what the container has written, as it was written.
func (f Folder) Log() string { return filepath.Join(f.Path, "log") }

// Termination is the file that stands for terminationMessagePath.
func (f Folder) Termination() string { return filepath.Join(f.Path, "termination-log") }

// Make makes the folder's directories, an empty termination message and the link.
func (f Folder) Make() error {
	tmp := filepath.Join(f.Path, "tmp")
	for _, dir := range []string{f.Rootfs(), f.Home(), tmp, filepath.Dir(f.ShortTmp)} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make container folder: %w", err)
		}
	}
	if err := os.WriteFile(f.Termination(), nil, 0o644); err != nil {
		return fmt.Errorf("make termination message: %w", err)
	}
	_ = os.Remove(f.ShortTmp)
	if err := os.Symlink(tmp, f.ShortTmp); err != nil {
		return fmt.Errorf("link TMPDIR: %w", err)
	}
	return nil
}

// layout makes the mount points and the table of paths for one container.
func (b *Builder) layout(pod *corev1.Pod, c *corev1.Container, folder Folder, volumes map[string]string, env map[string]string) (*paths, error) {
	table := &paths{rootfs: folder.Rootfs()}
	table.add(b.Root, b.Root)
	if b.StorePrefix != "" {
		table.add(b.StorePrefix, b.StorePrefix)
	}
	if c.TerminationMessagePath != "" {
		table.add(c.TerminationMessagePath, folder.Termination())
	}
	if c.WorkingDir != "" && !systemDir(c.WorkingDir) {
		table.add(c.WorkingDir, filepath.Join(folder.Rootfs(), c.WorkingDir))
	}
	for _, m := range c.VolumeMounts {
		real, err := mountSource(m, volumes, env)
		if err != nil {
			return nil, err
		}
		table.add(m.MountPath, real)
		materialise(folder.Rootfs(), m.MountPath, real)
	}
	return table, nil
}

// systemDir tells whether programs of this machine lie there: arguments that
// name one must keep their meaning, although the working directory is mapped.
func systemDir(dir string) bool {
	dir = filepath.Clean(dir)
	for _, system := range []string{"/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc", "/proc", "/sys", "/dev"} {
		if within(dir, system) {
			return true
		}
	}
	return dir == "/" || dir == "/tmp" || dir == "/var"
}

func mountSource(m corev1.VolumeMount, volumes map[string]string, env map[string]string) (string, error) {
	real, ok := volumes[m.Name]
	if !ok {
		return "", fmt.Errorf("volume %q is not in the pod", m.Name)
	}
	sub := m.SubPath
	if m.SubPathExpr != "" {
		sub = expand(m.SubPathExpr, func(name string) (string, bool) { v, ok := env[name]; return v, ok })
	}
	if sub == "" {
		return real, nil
	}
	if !filepath.IsLocal(sub) {
		return "", fmt.Errorf("subPath %q leaves its volume", sub)
	}
	real = filepath.Join(real, sub)
	if _, err := os.Stat(real); err == nil {
		return real, nil
	}
	return real, os.MkdirAll(real, 0o755)
}

// materialise links a mount into the rootfs, so that it is found by a relative
// path too. A mount inside another mount is left out: the link would be seen by
// every container that shares the outer volume.
func materialise(rootfs, mountPath, real string) {
	link := filepath.Join(rootfs, mountPath)
	parent, err := filepath.EvalSymlinks(deepest(filepath.Dir(link)))
	if err != nil || !strings.HasPrefix(parent+"/", rootfs) || os.MkdirAll(filepath.Dir(link), 0o755) != nil {
		return
	}
	if old, err := os.Readlink(link); err == nil && old != real {
		_ = os.Remove(link)
	}
	_ = os.Symlink(real, link)
}

// deepest is the longest part of the path that exists.
func deepest(path string) string {
	for {
		if _, err := os.Lstat(path); err == nil || path == "/" {
			return path
		}
		path = filepath.Dir(path)
	}
}
