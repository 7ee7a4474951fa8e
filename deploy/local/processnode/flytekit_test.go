package processnode_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/skein-project/skein/deploy/local/processnode"
	"github.com/skein-project/skein/deploy/local/venv"
)

// TestFlytekitVersionsSideBySide runs two versions of one module, as `pyflyte
// register` packs and names them, at once: each must run its own code.
func TestFlytekitVersionsSideBySide(t *testing.T) {
	c := ownCluster(t)
	env, err := venv.Ensure(t.Context(), func(line string) { t.Log(line) })
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, c, func(o *processnode.Options) { o.VenvBin = filepath.Join(env, "bin") })
	store := r.opts.StorePrefix
	if err := os.WriteFile(filepath.Join(store, "inputs.pb"), nil, 0o644); err != nil { // an empty map
		t.Fatal(err)
	}
	began := time.Now()
	pods := map[string]*corev1.Pod{}
	for _, version := range []string{"version-one", "version-two"} {
		distribution := filepath.Join(store, version+".tar.gz")
		pack(t, distribution, "my_module.py", "from flytekit import task\n\n\n@task\ndef t() -> str:\n    return '"+version+"'\n")
		pods[version] = r.create(t, corev1.Container{Name: "main", Image: "i", Args: []string{
			"pyflyte-fast-execute", "--additional-distribution", distribution, "--dest-dir", "/root", "--",
			"pyflyte-execute", "--inputs", filepath.Join(store, "inputs.pb"), "--output-prefix", filepath.Join(store, version),
			"--raw-output-data-prefix", filepath.Join(store, version+"-raw"), "--checkpoint-path", filepath.Join(store, version+"-check"),
			"--prev-checkpoint", `""`, "--resolver", "flytekit.core.python_auto_container.default_task_resolver",
			"--", "task-module", "my_module", "task-name", "t",
		}})
	}
	for version, pod := range pods {
		pod = r.ended(t, pod)
		outputs, err := os.ReadFile(filepath.Join(store, version, "outputs.pb"))
		if err != nil || !bytes.Contains(outputs, []byte(version)) {
			t.Errorf("%s: outputs %q, %v\n%s", version, outputs, err, r.log(t, pod, "main"))
		}
		if _, err := os.Stat(filepath.Join(r.folder(pod), "main", "rootfs", "root", "my_module.py")); err != nil {
			t.Errorf("%s: the code does not lie in the container's folder: %v", version, err)
		}
	}
	if file := newer(t, env, began); file != "" {
		t.Errorf("%s was written in the virtual environment", file)
	}
}

func pack(t *testing.T, path, name, content string) {
	t.Helper()
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	archive := tar.NewWriter(zip)
	header := &tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}
	if err := archive.WriteHeader(header); err != nil {
		t.Fatal(err)
	}
	if _, err := archive.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, packed.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// newer names a file below dir that was written since then.
func newer(t *testing.T, dir string, since time.Time) string {
	t.Helper()
	found := ""
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if info, err := entry.Info(); err == nil && info.ModTime().After(since) {
			found = path
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
