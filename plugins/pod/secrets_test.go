package pod

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/plugins"
)

func asking(secrets ...*core.Secret) plugins.Task {
	task := attempt("x")
	task.Template.SecurityContext = &core.SecurityContext{Secrets: secrets}
	return task
}

// shown is a variable as the test writes it.
func shown(e corev1.EnvVar) string {
	if e.ValueFrom != nil {
		return e.Name + " from " + e.ValueFrom.SecretKeyRef.Name + "/" + e.ValueFrom.SecretKeyRef.Key
	}
	return e.Name + "=" + e.Value
}

// TestSecrets is contract 21: where flytekit looks for what a task asked for.
func TestSecrets(t *testing.T) {
	const dir, prefix, root = "FLYTE_SECRETS_ENV_PREFIX=_FSEC_", "FLYTE_SECRETS_FILE_PREFIX=", "FLYTE_SECRETS_DEFAULT_DIR=/etc/flyte/secrets"
	for _, c := range []struct {
		name   string
		secret *core.Secret
		env    []string
		files  []string
	}{
		{"variable", &core.Secret{Group: "my-db", Key: "Pass.word", MountRequirement: core.Secret_ENV_VAR},
			[]string{"_FSEC_MY-DB_PASS.WORD from my-db/Pass.word", dir}, nil},
		{"variable of a version", &core.Secret{Group: "g", Key: "k", GroupVersion: "v1", MountRequirement: core.Secret_ENV_VAR},
			[]string{"_FSEC_G_K from g/k", "_FSEC_G_V1_K from g/k", dir}, nil},
		{"variable with a name", &core.Secret{Group: "g", Key: "k", EnvVar: "TOKEN", MountRequirement: core.Secret_ENV_VAR},
			[]string{"_FSEC_G_K from g/k", "TOKEN from g/k", dir}, nil},
		{"file", &core.Secret{Group: "g", Key: "Key", MountRequirement: core.Secret_FILE}, []string{dir, root, prefix}, []string{"g/Key at g/key"}},
		{"file of a version", &core.Secret{Group: "g", Key: "k", GroupVersion: "V1", MountRequirement: core.Secret_FILE},
			[]string{dir, root, prefix}, []string{"g/k at g/k", "g/k at g/v1/k"}},
		{"file with a name", &core.Secret{Group: "g", Key: "Key", EnvVar: "PATH_OF", MountRequirement: core.Secret_FILE},
			[]string{"PATH_OF=/etc/flyte/secrets/g/key", dir, root, prefix}, []string{"g/Key at g/key"}},
		{"any is a file", &core.Secret{Group: "g", Key: "k"}, []string{dir, root, prefix}, []string{"g/k at g/k"}},
		{"any with a name", &core.Secret{Group: "g", Key: "k", EnvVar: "TOKEN"}, []string{"TOKEN from g/k", dir, root, prefix}, []string{"g/k at g/k"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			task := asking(c.secret, c.secret)
			task.Template.GetContainer().DataConfig = &core.DataLoadingConfig{Enabled: true}
			pod, err := Build(task, Default(), nil)
			if err != nil {
				t.Fatal(err)
			}
			var env, files []string
			for _, e := range pod.Spec.Containers[0].Env {
				if at := slices.IndexFunc(c.env, func(w string) bool { return w == shown(e) }); at >= 0 && !slices.Contains(env, shown(e)) {
					env = append(env, shown(e))
				} else if e.ValueFrom != nil && at < 0 || strings.HasPrefix(e.Name, "FLYTE_SECRETS") && at < 0 {
					t.Errorf("%s is one too many", shown(e))
				}
			}
			for _, v := range pod.Spec.Volumes {
				if v.Name != volumeSecrets {
					continue
				}
				for _, s := range v.Projected.Sources {
					for _, i := range s.Secret.Items {
						files = append(files, s.Secret.Name+"/"+i.Key+" at "+i.Path)
					}
				}
			}
			if len(env) != len(c.env) || !slices.Equal(files, c.files) {
				t.Errorf("%q and %q, want %q and %q", env, files, c.env, c.files)
			}
			for _, init := range pod.Spec.InitContainers {
				if slices.ContainsFunc(init.Env, func(e corev1.EnvVar) bool { return e.ValueFrom != nil }) ||
					slices.ContainsFunc(init.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == volumeSecrets }) {
					t.Errorf("%s gets secrets that are the task's", init.Name)
				}
			}
		})
	}
	for _, s := range []*core.Secret{{Key: "k"}, {Group: "g"}} {
		if _, err := Build(asking(s), Default(), nil); err == nil || !strings.Contains(err.Error(), "a secret needs a group") {
			t.Errorf("%v: %v", s, err)
		}
	}
}

// TestSecretsThatAreNotThere: a pod that waits for them says so, and does not
// for ever.
func TestSecretsThatAreNotThere(t *testing.T) {
	pod, err := Build(asking(&core.Secret{Group: "g", Key: "k"}), Default(), nil)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for name, change := range map[string]func(*corev1.Pod){
		"on a kubelet": func(p *corev1.Pod) {
			p.Status = with(status("Pending", "", waits("ContainerCreating")), corev1.PodCondition{Type: corev1.PodReadyToStartContainers, Status: "False"})
			p.Status.ContainerStatuses[0].State.Waiting.Message = ""
		},
		"on a process node": func(p *corev1.Pod) { p.Status = status("Pending", "", waits("ContainerCreating")) },
	} {
		t.Run(name, func(t *testing.T) {
			one := pod.DeepCopy()
			change(one)
			one.CreationTimestamp = metav1.NewTime(now.Add(-time.Minute))
			if s := Read(one, Default(), now); s.Failure != nil || !strings.Contains(s.Reason, "waits for key k of secret g in namespace p-d") {
				t.Errorf("while it waits: %q, %+v", s.Reason, s.Failure)
			}
			one.CreationTimestamp = metav1.NewTime(now.Add(-4 * time.Minute))
			if s := Read(one, Default(), now); s.Failure == nil || s.Failure.Code != "SecretNotMounted" || s.Failure.System {
				t.Errorf("later: %+v", s.Failure)
			}
			one.Status.ContainerStatuses[0] = runs("main")
			if s := Read(one, Default(), now); s.Failure != nil {
				t.Errorf("once it runs: %+v", s.Failure)
			}
		})
	}
	slow := pod.DeepCopy() // its image is pulled: the volumes are there
	slow.Status = with(status("Pending", "", waits("ContainerCreating")), corev1.PodCondition{Type: corev1.PodReadyToStartContainers, Status: "True"})
	slow.Status.ContainerStatuses[0].State.Waiting.Message = ""
	slow.CreationTimestamp = metav1.NewTime(now.Add(-time.Hour))
	if s := Read(slow, Default(), now); s.Failure != nil {
		t.Errorf("a slow image: %+v", s.Failure)
	}
}
