package image

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const (
	// TaskName is what the tasks' image is imported as, besides flytekit's own name for it.
	TaskName = "localhost/skein-task:local"
	// defaultImage is what flytekit registers for a task that names no image, less Python's and its own version.
	defaultImage = "cr.flyte.org/flyteorg/flytekit:py"
)

// programs are in every image of tasks, as far as this machine has them. flytekit itself runs tar.
var programs = strings.Fields(`sh bash dash cat chmod cp cut date dd df dirname du echo env expr false find grep gzip head hostname id install ` +
	`join kill ln ls md5sum mkdir mktemp mv od paste printf ps pwd readlink rm rmdir sed seq setsid sha256sum sleep sort split stat tail tar tee test timeout ` +
	`touch tr true uname uniq wc which xargs [`)

// TaskOptions say what tasks find in their image.
type TaskOptions struct {
	// Cache keeps packed layers; Work is for the layer that changes with every build of our programs.
	Cache, Work string
	// Venv is a Python environment, with its interpreter; empty: none.
	Venv string
	// Programs are files that appear in /usr/local/bin.
	Programs []string
}

// Task packs the image in which tasks run: a shell and basic programs, a Python environment at the path that it has
// here, and programs of ours. Packing takes seconds, once for each environment.
func Task(ctx context.Context, o TaskOptions) (*Image, error) {
	im, err := task(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("pack the tasks' image: %w", err)
	}
	return im, nil
}

func task(ctx context.Context, o TaskOptions) (*Image, error) {
	im := &Image{Names: []string{TaskName}, Dir: "/root"}
	path := "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
	system, python, ours := base(), tree{}, tree{}
	if o.Venv != "" {
		name, err := addPython(ctx, system, python, o.Venv)
		if err != nil {
			return nil, err
		}
		im.Names = append(im.Names, name)
		path = filepath.Join(o.Venv, "bin") + ":" + path
		im.Env = append(im.Env, "VIRTUAL_ENV="+o.Venv, "PYTHONPATH=/root")
	}
	im.Env = append(im.Env, "PATH="+path, "LANG=C.UTF-8", "HOME=/root")
	for _, p := range o.Programs {
		if err := ours.program(filepath.Join("/usr/local/bin", filepath.Base(p)), p); err != nil {
			return nil, err
		}
	}
	linked, err := newLibraries(ctx)
	if err != nil {
		return nil, err
	}
	if err := linked.close(system, python, ours); err != nil {
		return nil, err
	}
	for _, part := range []struct {
		tree      tree
		dir, name string
	}{{system, o.Cache, "system"}, {python, o.Cache, "python"}, {ours, o.Work, "programs"}} {
		if len(part.tree) == 0 {
			continue
		}
		layer, err := part.tree.layer(part.dir, part.name)
		if err != nil {
			return nil, err
		}
		im.Layers = append(im.Layers, layer)
	}
	return im, nil
}

// base is what any program expects to find.
func base() tree {
	t := tree{}
	for _, dir := range []string{"/bin", "/sbin", "/lib", "/lib64"} { // links into /usr where they are that
		_, _ = t.add(dir) // not every architecture has each
	}
	for _, name := range programs {
		if path, err := exec.LookPath(name); err == nil {
			_, _ = t.add(path) // it was there a moment ago
		}
	}
	for _, dir := range []string{"/usr/lib/locale/C.utf8", "/usr/share/zoneinfo"} {
		_ = t.addAll(dir, func(string) bool { return false }) // both are a convenience
	}
	_, _ = t.add("/etc/ssl/certs/ca-certificates.crt") // as above
	t.folder("/tmp", os.ModeSticky|0o777)
	t.folder("/var/tmp", os.ModeSticky|0o777)
	t.folder("/root", 0o700)
	t.folder("/usr/local/bin", 0o755)
	t.text("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n")
	t.text("/etc/group", "root:x:0:\nnogroup:x:65534:\n")
	t.text("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n")
	return t
}

// probe prints where an interpreter and its standard library are, and its version.
const probe = `import sys, sysconfig; print(sys.base_prefix, sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), ` +
	`sys._base_executable, "%d.%d" % sys.version_info[:2], sep="\n")`

// addPython adds an environment and its interpreter, and returns flytekit's name for such an image.
func addPython(ctx context.Context, system, python tree, venv string) (string, error) {
	out, err := exec.CommandContext(ctx, filepath.Join(venv, "bin", "python"), "-I", "-c", probe).Output()
	if err != nil {
		return "", fmt.Errorf("ask %s for its interpreter: %w", venv, err)
	}
	found := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(found) != 5 {
		return "", fmt.Errorf("ask %s for its interpreter: it said %q", venv, out)
	}
	if _, err := system.add(found[3]); err != nil {
		return "", err
	}
	for _, lib := range found[1:3] {
		// In an environment, these are the folders of the interpreter below.
		if err := system.addAll(lib, func(path string) bool { return path != lib && isUnneeded(filepath.Base(path)) }); err != nil {
			return "", err
		}
	}
	err = python.addAll(venv, func(path string) bool { return filepath.Base(path) == "pip" })
	if err != nil {
		return "", err
	}
	infos, _ := filepath.Glob(filepath.Join(venv, "lib", "python*", "site-packages", "flytekit-*.dist-info"))
	if len(infos) != 1 {
		return "", errors.New("the environment has no flytekit")
	}
	version := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(infos[0]), "flytekit-"), ".dist-info")
	return defaultImage + found[4] + "-" + version, nil
}

// isUnneeded knows parts of a standard library that no task uses, or that the environment replaces.
func isUnneeded(name string) bool {
	switch name {
	case "site-packages", "dist-packages", "test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3", "pydoc_data":
		return true
	}
	return strings.HasPrefix(name, "config-3") // for linking, 40 MB
}
