package capi_test

import (
	"strings"
	"testing"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/federation/capi"
)

func TestOwners(t *testing.T) {
	us := capi.Owner{By: "us", UID: "1", Of: "default.one"}
	list := capi.Owner{By: "us.list"}
	for _, tc := range []struct {
		name   string
		owner  capi.Owner
		labels map[string]string
		says   string // of what is refused
	}{
		{"its own", us, us.Labels(), ""},
		{"its own, by a controller that had another name", us, map[string]string{capi.LabelManagedBy: "they", capi.LabelOwner: "1"}, ""},
		{"one that an earlier version registered", us, map[string]string{capi.LabelManagedBy: "us"}, ""},
		{"another Cluster's", us, capi.Owner{By: "us", UID: "2", Of: "a.b"}.Labels(), "belongs to Cluster a.b with UID 2"},
		{"another Cluster's whose name is too long for a label", us, capi.Owner{By: "us", UID: "2", Of: strings.Repeat("x", 64)}.Labels(), "of another name with UID 2"},
		{"another controller's", us, capi.Owner{By: "they", UID: "2"}.Labels(), "is managed by they, not by us"},
		{"an operator's", us, map[string]string{"region": "eu"}, "was not registered by us"},
		{"an operator's, without labels", list, nil, "was not registered by us.list"},
		{"an entry's", list, list.Labels(), ""},
		{"a Cluster's, for a list of the same name", list, capi.Owner{By: "us.list", UID: "2"}.Labels(), "belongs to Cluster"},
	} {
		err := tc.owner.Check("plane", tc.labels)
		if tc.says == "" && err != nil || tc.says != "" && (!fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), tc.says)) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.says)
		}
	}
}

func TestLeavingIsALabel(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	for value, want := range map[string]time.Time{capi.Leaving(now): now, "": {}, "yesterday": {}} {
		if got := capi.LeavingIn(map[string]string{capi.LabelLeaving: value}); !got.Equal(want) {
			t.Errorf("%q is %s, want %s", value, got, want)
		}
	}
}

func TestRulesKeepOffTheControllersLabels(t *testing.T) {
	for _, rules := range []capi.Rules{
		{Set: map[string]string{capi.LabelOwner: "1"}}, {Rename: map[string]string{"x": capi.LabelManagedBy}}, {FailureDomains: capi.LabelLeaving},
	} {
		_, err := capi.NewList(nil, capi.Options{Name: "n", Registry: newRegistry(), Install: capi.Apply{}, Rules: rules})
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("%v: %v", rules, err)
		}
	}
}
