package service

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"
	utilversion "k8s.io/apimachinery/pkg/util/version"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/admin"
)

// annotationPrefix begins the keys by which a launch says how it is placed and
// moved. No other key may begin so: one with a letter wrong would do nothing.
const annotationPrefix = "skein.dev/"

// The limits of what one launch says.
const (
	maxPreferred   = 32
	maxTolerations = 32
	maxGroups      = 16
	maxMoveLimit   = 1000
	defaultWeight  = 50
)

// wishes are what a launch's annotations ask for. A nil or empty field asks for
// nothing.
type wishes struct {
	mode        flow.FailoverMode
	strict      *bool
	maxMoves    int
	class       string
	preferred   []flow.Preference
	tolerations []flow.Toleration
	group       string
	near, apart []string
	minVersion  string
}

var wishParsers = map[string]func(w *wishes, value string) error{
	"failover": func(w *wishes, value string) error {
		w.mode = flow.FailoverMode(value)
		switch w.mode {
		case flow.FailoverResume, flow.FailoverRestart, flow.FailoverNever:
			return nil
		}
		return fmt.Errorf("%s is not resume, restart or never", fault.Quote(value))
	},
	"strict": func(w *wishes, value string) error {
		switch value {
		case "true", "false":
			strict := value == "true"
			w.strict = &strict
			return nil
		}
		return fmt.Errorf("%s is not true or false", fault.Quote(value))
	},
	"max-moves": func(w *wishes, value string) (err error) {
		if w.maxMoves, err = strconv.Atoi(value); err != nil || w.maxMoves < 1 || w.maxMoves > maxMoveLimit {
			return fmt.Errorf("%s is not a whole number from 1 to %d; failover=never allows no move", fault.Quote(value), maxMoveLimit)
		}
		return nil
	},
	"priority-class": func(w *wishes, value string) (err error) {
		w.class, err = groupName(value)
		return err
	},
	"prefer":      parsePreferred,
	"tolerations": parseTolerations,
	"group": func(w *wishes, value string) (err error) {
		w.group, err = groupName(value)
		return err
	},
	"near":  func(w *wishes, value string) (err error) { w.near, err = groups(value); return err },
	"apart": func(w *wishes, value string) (err error) { w.apart, err = groups(value); return err },
	"min-version": func(w *wishes, value string) error {
		w.minVersion = value
		if _, err := utilversion.ParseGeneric(value); err != nil {
			return fmt.Errorf("%s is not a version such as 0.4.0", fault.Quote(value))
		}
		return nil
	},
}

// parseWishes reads what an execution's labels and annotations ask for; of two
// values of one key the annotation's holds.
func parseWishes(spec *admin.ExecutionSpec) (wishes, error) {
	var w wishes
	for _, from := range []struct {
		field  string
		values map[string]string
	}{{"spec.labels", spec.GetLabels().GetValues()}, {"spec.annotations", spec.GetAnnotations().GetValues()}} {
		for _, key := range slices.Sorted(maps.Keys(from.values)) {
			name, ours := strings.CutPrefix(key, annotationPrefix)
			if !ours {
				continue
			}
			parse, known := wishParsers[name]
			if !known {
				return w, fault.Field(from.field, "%s is not a key that is known; %s can be followed by %s", fault.Quote(key), annotationPrefix,
					strings.Join(slices.Sorted(maps.Keys(wishParsers)), ", "))
			}
			if err := parse(&w, from.values[key]); err != nil {
				return w, fault.Field(from.field, "%s: %s", key, err.Error())
			}
		}
	}
	if w.mode == flow.FailoverNever && w.strict != nil && *w.strict {
		return w, fault.Field("spec.annotations", "skein.dev/strict: cannot be true with failover never: strict ends work at a lapse, never lets it go on; choose one")
	}
	return w, nil
}

// failover is what the policies say, changed by what the launch says.
func (w wishes) failover(policies *flow.Failover) flow.Failover {
	var f flow.Failover
	if policies != nil {
		f = *policies
	}
	if w.mode != "" {
		f.Mode = w.mode
	}
	if w.strict != nil {
		f.Strict = *w.strict
	}
	if w.maxMoves != 0 {
		f.MaxMoves = w.maxMoves
	}
	if f.Mode == "" {
		f.Mode = flow.FailoverResume
	}
	if f.Mode == flow.FailoverNever {
		f.Strict = false // its work goes on through a lapse
	}
	return f
}

// parsePreferred reads "SELECTOR[:WEIGHT][;SELECTOR[:WEIGHT]…]".
func parsePreferred(w *wishes, value string) error {
	w.preferred = nil
	for part := range strings.SplitSeq(value, ";") {
		selector, weight, weighed := strings.Cut(strings.TrimSpace(part), ":")
		p := flow.Preference{Selector: selector, Weight: defaultWeight}
		if weighed {
			n, err := strconv.ParseInt(weight, 10, 32)
			if err != nil || n < 1 || n > 100 {
				return fmt.Errorf("weight %s is not a whole number from 1 to 100", fault.Quote(weight))
			}
			p.Weight = int32(n)
		}
		parsed, err := labels.Parse(selector)
		if err != nil || parsed.Empty() {
			return fmt.Errorf("%s is not a label selector; write SELECTOR[:WEIGHT], and ; between two", fault.Quote(selector))
		}
		p.Selector = parsed.String()
		w.preferred = append(w.preferred, p)
	}
	if len(w.preferred) > maxPreferred {
		return fmt.Errorf("holds %d preferences, at most %d are taken", len(w.preferred), maxPreferred)
	}
	return nil
}

// parseTolerations reads a JSON list with the fields of Kubernetes.
func parseTolerations(w *wishes, value string) error {
	w.tolerations = nil
	decoder := json.NewDecoder(strings.NewReader(value))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&w.tolerations); err != nil || decoder.More() {
		return fmt.Errorf(`%s is not a JSON list such as [{"key":"gpu","operator":"Exists"}] of key, operator, value, effect and tolerationSeconds`, fault.Quote(value))
	}
	if len(w.tolerations) > maxTolerations {
		return fmt.Errorf("holds %d tolerations, at most %d are taken", len(w.tolerations), maxTolerations)
	}
	for _, t := range w.tolerations {
		if err := checkToleration(t); err != nil {
			return err
		}
	}
	return nil
}

func checkToleration(t flow.Toleration) error {
	switch {
	case t.Operator != "" && t.Operator != "Equal" && t.Operator != "Exists":
		return fmt.Errorf("operator %s is not Exists or Equal", fault.Quote(t.Operator))
	case t.Operator != "Exists" && t.Key == "":
		return fmt.Errorf("a toleration without a key needs the operator Exists")
	case t.Operator == "Exists" && t.Value != "":
		return fmt.Errorf("the value %s must be left out where the operator is Exists", fault.Quote(t.Value))
	case t.Key != "" && len(validation.IsQualifiedName(t.Key)) > 0:
		return fmt.Errorf("key %s: %s", fault.Quote(t.Key), validation.IsQualifiedName(t.Key)[0])
	case len(validation.IsValidLabelValue(t.Value)) > 0:
		return fmt.Errorf("value %s: %s", fault.Quote(t.Value), validation.IsValidLabelValue(t.Value)[0])
	case t.Effect != "" && !knownEffect(t.Effect):
		return fmt.Errorf("effect %s is not NoSchedule, PreferNoSchedule or NoExecute", fault.Quote(string(t.Effect)))
	case t.Seconds != nil && *t.Seconds < 0:
		return fmt.Errorf("tolerationSeconds must not be negative")
	}
	return nil
}

func knownEffect(e flow.TaintEffect) bool {
	return e == flow.NoSchedule || e == flow.PreferNoSchedule || e == flow.NoExecute
}

// groupName checks the name of a group of executions, or of a class.
func groupName(value string) (string, error) {
	if problems := validation.IsValidLabelValue(value); value == "" || len(problems) > 0 {
		return "", fmt.Errorf("%s is not a name of 1 to 63 letters, digits, dots, - and _", fault.Quote(value))
	}
	return value, nil
}

func groups(value string) ([]string, error) {
	var out []string
	for part := range strings.SplitSeq(value, ",") {
		name, err := groupName(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		out = append(out, name)
	}
	slices.Sort(out)
	if out = slices.Compact(out); len(out) > maxGroups {
		return nil, fmt.Errorf("names %d groups, at most %d are taken", len(out), maxGroups)
	}
	return out, nil
}
