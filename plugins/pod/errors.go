package pod

import (
	"regexp"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/plugins"
)

// createError says what a refused pod means (contract 19.3). An error that is
// not a Failure is tried again.
func createError(err error) error {
	switch {
	case err == nil:
		return nil
	case apierrors.IsForbidden(err):
		return forbidden(err)
	case apierrors.IsBadRequest(err), apierrors.IsInvalid(err):
		return &plugins.Failure{Code: "BadTaskFormat", Message: err.Error()}
	case apierrors.IsRequestEntityTooLargeError(err):
		return &plugins.Failure{Code: "EntityTooLarge", Message: err.Error()}
	}
	return err
}

// fencePolicy is the admission policy that refuses what is of an earlier
// incarnation of the cluster.
const fencePolicy = "ValidatingAdmissionPolicy 'skein-fence'"

func forbidden(err error) error {
	text := err.Error()
	switch {
	case strings.Contains(text, fencePolicy):
		return err // not the task's fault: another incarnation of the cluster has taken over, or the next step knows it
	case strings.Contains(text, "exceeded quota"):
		if never(text) {
			return &plugins.Failure{Code: "ResourceRequestsExceedLimits", Message: text}
		}
		return fault.E(fault.Exhausted, "%s", text)
	case strings.Contains(text, "usage per Container is"), strings.Contains(text, "usage per Pod is"):
		return &plugins.Failure{Code: "ResourceRequestsExceedLimits", Message: text}
	}
	return &plugins.Failure{Code: "RuntimeFailure", Message: text, Retryable: true}
}

var quotaAmounts = regexp.MustCompile(`(requested|limited): (\S+)`)

// never reports whether the quota would refuse the pod even if it were alone.
func never(text string) bool {
	asked, hard := map[string]string{}, map[string]string{}
	for _, m := range quotaAmounts.FindAllStringSubmatch(text, -1) {
		into := asked
		if m[1] == "limited" {
			into = hard
		}
		for _, pair := range strings.Split(m[2], ",") {
			if k, v, ok := strings.Cut(pair, "="); ok {
				into[k] = v
			}
		}
	}
	for k, v := range asked {
		a, err1 := resource.ParseQuantity(v)
		h, err2 := resource.ParseQuantity(hard[k])
		if err1 == nil && err2 == nil && a.Cmp(h) > 0 {
			return true
		}
	}
	return false
}
