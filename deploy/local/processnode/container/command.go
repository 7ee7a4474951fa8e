// Package container says what to run for a container of a pod when there is no
// container runtime: which program, with which arguments, environment, working
// directory and folders. The image is ignored; every absolute path that would
// lie in it, or in a mount, is mapped into the container's own folder.
//
// It starts nothing and reports nothing: the process node agent calls it before
// each start, and child runs what it returns.
//
// Invariant: what it makes lies in the pod's folder, or, for a hostPath volume,
// under the object store's; a hostPath elsewhere is refused.
//
// What cannot be mapped: a path that a program has written into its own text or
// composes at run time (/dev/termination-log in a script's file, /tmp in code).
package container

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Builder holds what is the same for all containers of one node.
type Builder struct {
	// BinDirs and VenvBin are searched, in this order, before the system's PATH.
	BinDirs []string
	VenvBin string
	// StorePrefix is the object store's folder; paths under it are real.
	StorePrefix string
	// Root is the agent's folder; paths under it are real.
	Root string
	// Capacity stands for limits that a container does not set.
	Capacity corev1.ResourceList
	Source   Source
}

// Command is what to run.
type Command struct {
	// Argv has the program's real path first.
	Argv []string
	Env  []string
	Dir  string
	// Missing is set, and Argv is not, when the program was not found.
	Missing string
}

// Error is a refusal with the reason that a kubelet gives for a waiting container.
type Error struct{ Reason, Message string }

// Error is the message.
func (e *Error) Error() string { return e.Message }

// These reasons are compared by clients, Flyte's engine among them.
const (
	ReasonConfig = "CreateContainerConfigError"
	ReasonCreate = "CreateContainerError"
)

// Build says how to run the container in its folder, whose directories it
// makes. The volumes are those that Volumes has made for the pod. The error is
// always an *Error.
func (b *Builder) Build(ctx context.Context, pod *corev1.Pod, c *corev1.Container, folder Folder, volumes map[string]string) (Command, error) {
	if len(c.Command)+len(c.Args) == 0 {
		return Command{}, &Error{ReasonCreate, "no command specified: the image is ignored, so the pod must say what to run"}
	}
	own, err := b.environment(ctx, pod, c)
	if err != nil {
		return Command{}, &Error{ReasonConfig, err.Error()}
	}
	table, err := b.layout(pod, c, folder, volumes, own)
	if err != nil {
		return Command{}, &Error{ReasonCreate, err.Error()}
	}
	known := func(name string) (string, bool) { v, ok := own[name]; return v, ok }
	var argv []string
	for _, word := range slices.Concat(c.Command, c.Args) {
		argv = append(argv, expand(word, known))
	}
	if err := b.destinations(argv, table); err != nil {
		return Command{}, &Error{ReasonCreate, err.Error()}
	}
	for i, word := range argv {
		argv[i] = table.rewrite(word)
	}
	cmd := Command{Env: b.merge(b.base(folder), own, table), Dir: workdir(c, table)}
	if err := os.MkdirAll(cmd.Dir, 0o755); err != nil {
		return Command{}, &Error{ReasonCreate, err.Error()}
	}
	program, ok := b.look(argv[0], cmd.Dir)
	if !ok {
		cmd.Missing = argv[0]
		return cmd, nil
	}
	cmd.Argv = append([]string{program}, argv[1:]...)
	return cmd, nil
}

func workdir(c *corev1.Container, table *paths) string {
	if !filepath.IsAbs(c.WorkingDir) {
		return filepath.Join(table.rootfs, filepath.Join("/", c.WorkingDir))
	}
	return table.resolve(c.WorkingDir)
}

// destinations maps the folder into which pyflyte-fast-execute unpacks the
// user's code, and makes it: two versions side by side must not share it. A
// dynamic task hands on its own, already mapped one, of another container.
func (b *Builder) destinations(argv []string, table *paths) error {
	for i, word := range argv {
		flag, value, joined := strings.Cut(word, "=")
		if flag != "--dest-dir" && flag != "--dynamic-dest-dir" {
			continue
		}
		if !joined {
			if i+1 == len(argv) {
				continue
			}
			value = argv[i+1]
		}
		if !filepath.IsAbs(value) {
			continue
		}
		real := b.destination(value, table)
		if err := os.MkdirAll(real, 0o755); err != nil {
			return fmt.Errorf("make %s: %w", flag, err)
		}
		if joined {
			argv[i] = flag + "=" + real
		} else {
			argv[i+1] = real
		}
	}
	return nil
}

func (b *Builder) destination(value string, table *paths) string {
	if within(value, table.rootfs) {
		return value
	}
	if within(value, b.Root) {
		if _, inner, ok := strings.Cut(value, "/"+rootfsName+"/"); ok {
			value = "/" + inner
		}
	}
	return table.resolve(value)
}

// look finds a program. An absolute path that does not exist here is one of the
// image: its last element is searched for like a bare name.
func (b *Builder) look(name, dir string) (string, bool) {
	switch {
	case filepath.IsAbs(name):
		if executable(name) {
			return name, true
		}
		name = filepath.Base(name)
	case strings.Contains(name, "/"):
		path := filepath.Join(dir, name)
		return path, executable(path)
	}
	for _, bin := range b.searchPath() {
		if path := filepath.Join(bin, name); executable(path) {
			return path, true
		}
	}
	return "", false
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

func (b *Builder) ownBins() []string {
	bins := slices.Clone(b.BinDirs)
	if b.VenvBin != "" {
		bins = append(bins, b.VenvBin)
	}
	return bins
}

func (b *Builder) searchPath() []string {
	return append(b.ownBins(), "/usr/local/bin", "/usr/bin", "/bin")
}

// AsError gives the refusal in err, or one that names err.
func AsError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{ReasonCreate, err.Error()}
}
