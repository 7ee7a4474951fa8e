package capi

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/skein-project/skein/api/fault"
)

// Labels of a data plane that only a controller writes. No rule carries one over.
const (
	// LabelManagedBy marks clusters that a controller of that name registered.
	LabelManagedBy = "skein.dev/managed-by"
	// LabelOwner has the UID of the Cluster that a data plane was made of; one of a
	// plain list has none.
	LabelOwner = "skein.dev/owner-uid"
	// LabelOwnerName names that Cluster for people: its namespace, a dot, its name.
	// It is left out if it is too long for a label.
	LabelOwnerName = "skein.dev/owner"
	// LabelLeaving says since when the controller empties a data plane; with it the
	// drain of a deletion is ordered once, also across restarts.
	LabelLeaving = "skein.dev/leaving-since"
)

var reserved = []string{LabelManagedBy, LabelOwner, LabelOwnerName, LabelLeaving}

// leavingLayout is RFC 3339 in the letters that a label can have.
const leavingLayout = "20060102T150405Z"

// Owner says whose a data plane is. Two Clusters can ask for one name; only the
// one that it was registered for may change, drain or remove it.
type Owner struct {
	By  string // the controller's name
	UID string // of the Cluster; empty: the data plane is of a plain list
	Of  string // the Cluster, for people
}

func ownerOf(o metav1.Object, by string) Owner {
	return Owner{By: by, UID: string(o.GetUID()), Of: o.GetNamespace() + "." + o.GetName()}
}

// OwnerIn reads the owner from a data plane's labels; the zero Owner is nobody.
func OwnerIn(labels map[string]string) Owner {
	return Owner{By: labels[LabelManagedBy], UID: labels[LabelOwner], Of: labels[LabelOwnerName]}
}

// Labels are what a data plane of this owner carries.
func (o Owner) Labels() map[string]string {
	out := map[string]string{LabelManagedBy: o.By}
	if o.UID != "" {
		out[LabelOwner] = o.UID
	}
	if o.UID != "" && len(validation.IsValidLabelValue(o.Of)) == 0 {
		out[LabelOwnerName] = o.Of
	}
	return out
}

// Check is fault.Conflict unless a data plane with these labels is the owner's.
// One without LabelOwner belongs to whoever of its controller asks first: so are
// those that an earlier version registered, and so can an operator hand one over.
func (o Owner) Check(name string, labels map[string]string) error {
	has := OwnerIn(labels)
	switch {
	case o.UID != "" && has.UID == o.UID: // whatever its controller was called
		return nil
	case has.By == "":
		return fault.E(fault.Conflict, "data plane %s was not registered by %s: choose another name, or hand it over (skein cluster label %s %s=%s)",
			name, o.By, name, LabelManagedBy, o.By)
	case has.By != o.By:
		return fault.E(fault.Conflict, "data plane %s is managed by %s, not by %s: choose another name", name, has.By, o.By)
	case has.UID != "":
		return fault.E(fault.Conflict, "data plane %s belongs to Cluster %s with UID %s: choose another name, or, if that one is gone, hand it over (skein cluster label %s %s-)",
			name, has.who(), has.UID, name, LabelOwner)
	}
	return nil
}

func (o Owner) who() string {
	if o.Of == "" {
		return "of another name"
	}
	return o.Of
}

// Leaving is the value of LabelLeaving for a time.
func Leaving(since time.Time) string { return since.UTC().Format(leavingLayout) }

// LeavingIn reads LabelLeaving; the zero time if a data plane is to stay.
func LeavingIn(labels map[string]string) time.Time {
	since, _ := time.Parse(leavingLayout, labels[LabelLeaving]) // what nobody wrote so is no order
	return since
}
