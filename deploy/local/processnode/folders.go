package processnode

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/skein-project/skein/deploy/local/processnode/child"
	"github.com/skein-project/skein/deploy/local/processnode/container"
	"golang.org/x/sys/unix"
)

// The agent's folder holds pods/<namespace>_<pod>_<uid>/<container>, the links
// for TMPDIR, the lock and the token for logs.
const (
	podsName    = "pods"
	tmpName     = "t"
	volumesName = ".volumes" // no container can have this name
	pidName     = "pid"
)

func (a *Agent) podFolder(pod *corev1.Pod) string {
	return filepath.Join(a.opts.Dir, podsName, pod.Namespace+"_"+pod.Name+"_"+string(pod.UID))
}

func (a *Agent) folder(pod *corev1.Pod, name string) container.Folder {
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(string(pod.UID) + "/" + name)) // never fails
	return container.Folder{
		Path:     filepath.Join(a.podFolder(pod), name),
		ShortTmp: filepath.Join(a.opts.Dir, tmpName, fmt.Sprintf("%x", sum.Sum64())),
	}
}

// lock makes sure that one agent uses the folder.
func (a *Agent) lock() (func(), error) {
	file, err := os.OpenFile(filepath.Join(a.opts.Dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the agent's folder: %w", err)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		file.Close()
		return nil, fmt.Errorf("lock %s: another agent uses it: %w", a.opts.Dir, err)
	}
	return func() { file.Close() }, nil
}

// killLeftovers kills what an earlier agent of this folder has left: the
// containers' processes die with their agent, but what they started may not.
func (a *Agent) killLeftovers() int {
	files, _ := filepath.Glob(filepath.Join(a.opts.Dir, podsName, "*", "*", pidName))
	var records []child.Record
	for _, file := range files {
		var r child.Record
		if raw, err := os.ReadFile(file); err == nil && json.Unmarshal(raw, &r) == nil {
			records = append(records, r)
		}
	}
	return child.KillLeftovers(records, filepath.Join(a.opts.Dir, podsName), filepath.Join(a.opts.Dir, tmpName))
}

func record(folder container.Folder, r child.Record) error {
	raw, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder.Path, pidName), raw, 0o600)
}

// removeFolder removes what the pod has left. A secret's read-only file is no
// obstacle, but a folder that the user's program made read-only may be.
func (a *Agent) removeFolder(pod *corev1.Pod) {
	var problems []error
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for _, c := range list {
			problems = append(problems, os.RemoveAll(a.folder(pod, c.Name).ShortTmp))
		}
	}
	problems = append(problems, os.RemoveAll(a.podFolder(pod)))
	if err := errors.Join(problems...); err != nil {
		a.log.Warn("pod folder not removed", "pod", pod.Namespace+"/"+pod.Name, "error", err)
	}
}

// removeStrangers removes the folders of pods that went away while no agent ran,
// and TMPDIR links that lead nowhere.
func (a *Agent) removeStrangers(pods cache.Store) {
	known := map[string]bool{}
	for _, item := range pods.List() {
		known[a.podFolder(item.(*corev1.Pod))] = true
	}
	folders, _ := filepath.Glob(filepath.Join(a.opts.Dir, podsName, "*"))
	for _, folder := range folders {
		if !known[folder] {
			_ = os.RemoveAll(folder) // tried again by the next agent
		}
	}
	links, _ := filepath.Glob(filepath.Join(a.opts.Dir, tmpName, "*"))
	for _, link := range links {
		if _, err := os.Stat(link); os.IsNotExist(err) {
			_ = os.Remove(link)
		}
	}
}
