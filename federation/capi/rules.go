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
		if slices.Contains(reserved, to) {
			return fault.Field("rules", "%q is written by the controller alone: name another label", to)
		}
		if list := validation.IsQualifiedName(to); len(list) > 0 {
			return fault.Field("rules", "%q is no label name: %s", to, strings.Join(list, "; "))
		}
	}
	return nil
}

// name is the data plane's name that an object asks for.
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

// planeOf is the name of an object's data plane: the one that it was registered
// with, before that the one that it asks for.
func planeOf(o metav1.Object) (string, error) {
	if n := o.GetAnnotations()[AnnotationRegistered]; n != "" {
		return n, nil
	}
	return name(o)
}

// renamed says that a data plane does not follow its Cluster's annotation.
func renamed(o metav1.Object, plane string) string {
	if n, err := name(o); err == nil && n == plane {
		return ""
	}
	return fmt.Sprintf(" as %s, which it stays", plane)
}

// labels applies the rules. Values that cannot be labels are left out, and said.
func (r Rules) labels(from map[string]string, domains []string) (out map[string]string, left []string) {
	out = map[string]string{}
	set := func(k, v string) {
		if list := validation.IsValidLabelValue(v); len(list) > 0 {
			left = append(left, fmt.Sprintf("%s=%q", k, v))
			return
		}
		out[k] = v
	}
	for k, v := range from {
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
	slices.Sort(left)
	return out, left
}

// registration is a data plane with these labels, and with the owner's in place
// of what anybody else says there.
func (r Rules) registration(name string, o Owner, labels map[string]string) Registration {
	all := maps.Clone(labels)
	maps.DeleteFunc(all, func(k, _ string) bool { return slices.Contains(reserved, k) })
	maps.Copy(all, o.Labels())
	return Registration{Name: name, Owner: o, Labels: all, Taints: slices.Clone(r.Taints)}
}
