package container

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestRewriteTouchesMappedPathsOnly(t *testing.T) {
	table := &paths{rootfs: "/c/rootfs"}
	table.add("/data", "/v/data")
	table.add("/data/inner/", "/v/inner")
	table.add("/store", "/store")
	table.add("/st", "/wrong")
	for in, want := range map[string]string{
		"/data":                           "/v/data",
		"/data/x/y":                       "/v/data/x/y",
		"/data/inner/x":                   "/v/inner/x",
		"/database":                       "/database",
		"/data.bak":                       "/data.bak",
		"--out=/data":                     "--out=/v/data",
		"cat '/data/x'|wc >/data/y;":      "cat '/v/data/x'|wc >/v/data/y;",
		"/data:/data/inner":               "/v/data:/v/inner",
		"s3://bucket/data/x":              "s3://bucket/data/x",
		"http://host/data":                "http://host/data",
		"${HOME}/data $(pwd)/data ./data": "${HOME}/data $(pwd)/data ./data",
		"/store/data/x":                   "/store/data/x",
		"/other/data":                     "/other/data",
		"":                                "",
	} {
		if got := table.rewrite(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
	if got := table.resolve("/root/../etc"); got != "/c/rootfs/etc" {
		t.Errorf("resolve: %q", got)
	}
}

func TestExpandFollowsKubernetes(t *testing.T) {
	value := func(name string) (string, bool) { return "<" + name + ">", name != "NONE" }
	for in, want := range map[string]string{
		"$(A)": "<A>", "x$(A)y$(B)": "x<A>y<B>", "$(NONE)": "$(NONE)", "$$(A)": "$(A)", "$$$(A)": "$<A>",
		"$A": "$A", "$": "$", "$(A": "$(A", "$$": "$", "${A}": "${A}", "$(": "$(", "a$(A": "a$(A",
	} {
		if got := expand(in, value); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

// rig is a builder with a program in its own folder and a container's folder.
func rig(t *testing.T) (*Builder, Folder) {
	t.Helper()
	root, bin := t.TempDir(), t.TempDir()
	for _, name := range []string{"pyflyte-fast-execute", "sh"} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	folder := Folder{Path: filepath.Join(root, "pods", "p", "c"), ShortTmp: filepath.Join(root, "t", "1")}
	if err := folder.Make(); err != nil {
		t.Fatal(err)
	}
	return &Builder{Root: root, VenvBin: bin, StorePrefix: filepath.Join(root, "store")}, folder
}

func build(t *testing.T, b *Builder, folder Folder, c corev1.Container) Command {
	t.Helper()
	cmd, err := b.Build(context.Background(), &corev1.Pod{}, &c, folder, nil)
	if err != nil {
		t.Fatal(err)
	}
	return cmd
}

func TestDestinationsAreMappedIntoTheFolder(t *testing.T) {
	b, folder := rig(t)
	other := filepath.Join(b.Root, "pods", "other", "main", "rootfs", "root")
	for given, want := range map[string]string{"/root": "root", "/": "", other: "root"} {
		real := filepath.Join(folder.Rootfs(), want)
		cmd := build(t, b, folder, corev1.Container{Args: []string{"pyflyte-fast-execute", "--dest-dir", given, "--", "x", "--dynamic-dest-dir=" + given}})
		if cmd.Argv[2] != real || cmd.Argv[5] != "--dynamic-dest-dir="+real {
			t.Errorf("%s: %v, want %s", given, cmd.Argv, real)
		}
		if info, err := os.Stat(real); err != nil || !info.IsDir() {
			t.Errorf("%s was not made", real)
		}
	}
	cmd := build(t, b, folder, corev1.Container{Args: []string{"pyflyte-fast-execute", "--dest-dir", "."}})
	if cmd.Argv[2] != "." || cmd.Dir != folder.Rootfs() {
		t.Errorf("%v in %s", cmd.Argv, cmd.Dir)
	}
}

func TestEnvironmentBeginsFromZero(t *testing.T) {
	t.Setenv("CANARY", "host")
	b, folder := rig(t)
	cmd := build(t, b, folder, corev1.Container{Args: []string{"sh"}, Env: []corev1.EnvVar{{Name: "PATH", Value: "/image/bin"}}})
	var names []string
	for _, entry := range cmd.Env {
		name, value, _ := strings.Cut(entry, "=")
		names = append(names, name)
		if name == "PATH" && value != b.VenvBin+":/image/bin" {
			t.Errorf("PATH is %s", value)
		}
	}
	if want := []string{"HOME", "LANG", "PATH", "PYTHONDONTWRITEBYTECODE", "TMPDIR", "VIRTUAL_ENV"}; !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
}

func TestProgramsAreLookedUpInOurFoldersFirst(t *testing.T) {
	b, folder := rig(t)
	for name, want := range map[string]string{
		"sh": filepath.Join(b.VenvBin, "sh"), "/bin/sh": "/bin/sh", "/image/only/sh": filepath.Join(b.VenvBin, "sh"), "env": "/usr/bin/env",
	} {
		if got := build(t, b, folder, corev1.Container{Command: []string{name}}).Argv[0]; got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if cmd := build(t, b, folder, corev1.Container{Command: []string{"no-such"}}); cmd.Missing != "no-such" || cmd.Argv != nil {
		t.Errorf("%+v", cmd)
	}
	_, err := b.Build(context.Background(), &corev1.Pod{}, &corev1.Container{}, folder, nil)
	if AsError(err).Reason != ReasonCreate {
		t.Errorf("no command: %v", err)
	}
}

func TestHostPathsLieInTheStore(t *testing.T) {
	b, _ := rig(t)
	kind := corev1.HostPathDirectoryOrCreate
	for path, ok := range map[string]bool{b.StorePrefix: true, b.StorePrefix + "/x": true, "/etc": false, b.StorePrefix + "/../y": false, b.StorePrefix + "x": false} {
		pod := &corev1.Pod{Spec: corev1.PodSpec{Volumes: []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path, Type: &kind}}}}}}
		real, err := b.Volumes(context.Background(), pod, filepath.Join(b.Root, "vols"))
		if (err == nil) != ok || ok && real["v"] != path {
			t.Errorf("%s: %v, %v", path, real, err)
		}
	}
}
