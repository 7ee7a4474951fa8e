package compile

import (
	"strings"

	"google.golang.org/protobuf/types/known/structpb"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/skein-project/skein/api/flyteidl/core"
)

// primaryKey names, in a task's config, the container of its pod that is the
// task; where nothing does, it is defaultPrimary.
const (
	primaryKey     = "primary_container_name"
	defaultPrimary = "primary"
)

// checkPod checks that a task's pod has the container that is the task. What
// else is wrong with it Kubernetes says, which knows more fields than we.
func checkPod(found *problemList, at place, what string, pod *core.K8SPod, config string) {
	name := pod.GetPrimaryContainerName()
	if name == "" {
		name = config
	}
	if name == "" {
		name = defaultPrimary
	}
	if pod.GetPodSpec() == nil {
		found.add(at, ValueRequired, "%s has no pod_spec", what)
		return
	}
	for _, c := range pod.GetPodSpec().GetFields()["containers"].GetListValue().GetValues() {
		if field(c, "name") == name {
			if field(c, "image") == "" {
				found.add(at, ValueRequired, "%s: container %q has no image", what, name)
			}
			return
		}
	}
	found.add(at, ValueRequired, "%s has no container %q, which should be the task: name it as %s", what, name, primaryKey)
}

func field(v *structpb.Value, name string) string {
	return v.GetStructValue().GetFields()[name].GetStringValue()
}

// checkSecrets checks that each secret can be one of Kubernetes: the group is
// the name of a Secret, the key one of its keys. Values are nobody's to check.
func checkSecrets(found *problemList, at place, secrets []*core.Secret) {
	variables, paths := map[string]string{}, map[string]string{}
	for _, s := range secrets {
		id := s.GetGroup() + "/" + s.GetKey()
		switch {
		case s.GetGroup() == "":
			found.add(at, ValueRequired, "secret %q has no group: the group names a Kubernetes Secret", id)
		case len(validation.IsDNS1123Subdomain(s.GetGroup())) > 0:
			found.add(at, InvalidValue, "secret %q: the group cannot name a Kubernetes Secret: small letters, digits, - and . can", id)
		}
		switch {
		case s.GetKey() == "":
			found.add(at, ValueRequired, "secret %q has no key: it names an entry of the Kubernetes Secret", id)
		case len(validation.IsConfigMapKey(s.GetKey())) > 0:
			found.add(at, InvalidValue, "secret %q: the key cannot be one of a Kubernetes Secret: letters, digits, -, _ and . can", id)
		}
		if v := s.GetGroupVersion(); v != "" && len(validation.IsConfigMapKey(v)) > 0 {
			found.add(at, InvalidValue, "secret %q: version %q has more than letters, digits, -, _ and .", id, v)
		}
		if _, known := core.Secret_MountType_name[int32(s.GetMountRequirement())]; !known {
			found.add(at, UnrecognizedValue, "secret %q: mount requirement %d is not known", id, s.GetMountRequirement())
		}
		if e := s.GetEnvVar(); e != "" && len(validation.IsCIdentifier(e)) > 0 {
			found.add(at, InvalidValue, "secret %q: %q cannot name an environment variable", id, e)
		}
		once(found, at, variables, s.GetEnvVar(), id, "the environment variable "+s.GetEnvVar())
		once(found, at, paths, strings.ToLower(id), id, "a name that differs only in its case")
	}
}

// once checks that what two secrets share they do not share by mistake.
func once(found *problemList, at place, seen map[string]string, key, id, what string) {
	if key == "" {
		return
	}
	if other, taken := seen[key]; taken && other != id {
		found.add(at, ValueCollision, "secrets %q and %q ask for %s", other, id, what)
		return
	}
	seen[key] = id
}
