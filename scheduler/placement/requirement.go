package placement

import (
	"encoding/json"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/skein-project/skein/api/flow"
)

// Requirement is what an execution asks for, with its selector parsed once.
type Requirement struct {
	flow.Requirement
	selector labels.Selector
	problem  string // why the selector is invalid; empty if it is not
}

// Prepare parses a requirement's selector, or the policy's default one if it
// has none. An invalid selector is kept as a reason that the selector filter
// gives for every cluster: it makes the execution wait, visibly.
func Prepare(r flow.Requirement, p Policy) Requirement {
	out := Requirement{Requirement: r}
	if strings.TrimSpace(out.Selector) == "" {
		out.Selector = p.DefaultSelector
	}
	out.selector, out.problem = parse(out.Selector)
	return out
}

// parse reads a label selector; a bare word means "has this label key".
func parse(s string) (labels.Selector, string) {
	selector, err := labels.Parse(s)
	if err != nil {
		return labels.Nothing(), fmt.Sprintf("selector %q is invalid: %v", s, err)
	}
	return selector, ""
}

// key is equal for requirements that every filter and score treat alike.
func key(r flow.Requirement) string {
	b, err := json.Marshal(r)
	if err != nil {
		panic(err) // a requirement holds nothing that JSON cannot
	}
	return string(b)
}
