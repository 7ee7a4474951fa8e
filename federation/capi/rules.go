package capi

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// Rules say what of a cluster's labels and failure domains the data plane
// carries.
type Rules struct {
	// Copy names labels that are carried over as they are; a name that ends in
	// "/" carries over every label with that prefix.
	Copy []string
	// Rename carries over the labels that it names under other names.
	Rename map[string]string
	// Set are labels of all data planes.
	Set map[string]string
	// FailureDomains names the label that gets a Cluster's failure domains, joined
	// by "."; empty: they are not carried over.
	FailureDomains string
	Taints         []flow.Taint // of all data planes
}

func (r Rules) check() error {
	for _, to := range slices.Concat(slices.Collect(maps.Values(r.Rename)), slices.Collect(maps.Keys(r.Set)), []string{r.FailureDomains}) {
		if to == "" {
			continue
		}
		if list := validation.IsQualifiedName(to); len(list) > 0 {
			return fault.Field("rules", "%q is no label name: %s", to, strings.Join(list, "; "))
		}
	}
	return nil
}

// name is the data plane's name for an object.
func name(o metav1.Object) (string, error) {
	n := o.GetAnnotations()[AnnotationName]
	if n == "" {
		n = o.GetName()
		if ns := o.GetNamespace(); ns != "" && ns != metav1.NamespaceDefault {
			n = ns + "-" + n
		}
	}
	if list := validation.IsDNS1123Label(n); len(list) > 0 {
		return "", fault.E(fault.Invalid, "%q cannot name a data plane (%s): annotate the Cluster with %s",
			n, strings.Join(list, "; "), AnnotationName)
	}
	return n, nil
}

// registration applies the rules. Values that cannot be labels are left out,
// and said.
func (r Rules) registration(name, by string, labels map[string]string, domains []string) (out Registration, left []string) {
	out = Registration{Name: name, Labels: map[string]string{}, Taints: slices.Clone(r.Taints)}
	set := func(k, v string) {
		if list := validation.IsValidLabelValue(v); len(list) > 0 {
			left = append(left, fmt.Sprintf("%s=%q", k, v))
			return
		}
		out.Labels[k] = v
	}
	for k, v := range labels {
		if slices.ContainsFunc(r.Copy, func(c string) bool { return c == k || strings.HasSuffix(c, "/") && strings.HasPrefix(k, c) }) {
			set(k, v)
		}
		if to, ok := r.Rename[k]; ok {
			set(to, v)
		}
	}
	if r.FailureDomains != "" && len(domains) > 0 {
		set(r.FailureDomains, strings.Join(slices.Sorted(slices.Values(domains)), "."))
	}
	for k, v := range r.Set {
		set(k, v)
	}
	set(LabelManagedBy, by)
	slices.Sort(left)
	return out, left
}
