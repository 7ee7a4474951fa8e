package service

import (
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
)

func annotated(annotations map[string]string) *admin.ExecutionSpec {
	return &admin.ExecutionSpec{Annotations: &admin.Annotations{Values: annotations}}
}

func TestAnnotationsOfALaunch(t *testing.T) {
	seconds := int64(60)
	yes := true
	for _, c := range []struct {
		name, key, value string
		want             wishes
	}{
		{"failover", "failover", "restart", wishes{mode: flow.FailoverRestart}},
		{"strict", "strict", "true", wishes{strict: &yes}},
		{"moves", "max-moves", "3", wishes{maxMoves: 3}},
		{"a class", "priority-class", "urgent", wishes{class: "urgent"}},
		{"preferences, the canonical selector", "prefer", "tier=gold,gpu:80; region in (b,a)", wishes{preferred: []flow.Preference{
			{Selector: "gpu,tier=gold", Weight: 80}, {Selector: "region in (a,b)", Weight: 50}}}},
		{"tolerations", "tolerations", `[{"key":"m","operator":"Exists","effect":"NoExecute","tolerationSeconds":60}]`, wishes{tolerations: []flow.Toleration{
			{Key: "m", Operator: "Exists", Effect: flow.NoExecute, Seconds: &seconds}}}},
		{"a group", "group", "train-7", wishes{group: "train-7"}},
		{"groups, sorted and once", "near", "b, a,b", wishes{near: []string{"a", "b"}}},
		{"groups to be apart from", "apart", "a", wishes{apart: []string{"a"}}},
		{"a version", "min-version", "0.4.0", wishes{minVersion: "0.4.0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := parseWishes(annotated(map[string]string{"skein.dev/" + c.key: c.value, "other.dev/" + c.key: "x"}))
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v, %v\nwant %+v", got, err, c.want)
			}
		})
	}
}

func TestBadAnnotationsAreRefusedByName(t *testing.T) {
	for key, values := range map[string][]string{
		"failover":       {"", "later", "Never"},
		"strict":         {"", "yes", "1"},
		"max-moves":      {"", "0", "-1", "1001", "x", "99999999999999999999"},
		"priority-class": {"", "a b", strings.Repeat("x", 64)},
		"prefer":         {"", ":5", "a:0", "a:101", "a:x", "a in (", "a;;b", strings.Repeat("a;", 32) + "a"},
		"tolerations":    {"", "x", "{}", `[{"kay":"a"}]`, `[{"key":"a"}] x`, `[{"operator":"Equal"}]`, `[{"key":"a","effect":"No"}]`, `[{"key":"a","tolerationSeconds":-1}]`, `[{"key":"a","operator":"Exists","value":"b"}]`, `[{"key":"a b"}]`},
		"group":          {"", "a,b"},
		"near":           {"", "a,,b", "a b"},
		"apart":          {","},
		"min-version":    {"", "new", "v"},
		"failovr":        {"never"}, // one letter short: it would do nothing
	} {
		for _, value := range values {
			_, err := parseWishes(annotated(map[string]string{"skein.dev/" + key: value}))
			if !fault.Is(err, fault.Invalid) || !strings.HasPrefix(err.Error(), "spec.annotations: ") || !strings.Contains(err.Error(), "skein.dev/"+key) {
				t.Errorf("skein.dev/%s=%q: %v, want Invalid that names the key", key, value, err)
			}
		}
	}
	_, err := parseWishes(annotated(map[string]string{"skein.dev/strict": "true", "skein.dev/failover": "never"}))
	if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "skein.dev/strict") {
		t.Errorf("strict and never together: %v", err)
	}
}

func TestAnAnnotationHoldsBeforeALabel(t *testing.T) {
	spec := annotated(map[string]string{"skein.dev/failover": "restart"})
	spec.Labels = &admin.Labels{Values: map[string]string{"skein.dev/failover": "never", "skein.dev/group": "g"}}
	got, err := parseWishes(spec)
	if err != nil || got.mode != flow.FailoverRestart || got.group != "g" {
		t.Errorf("got %+v, %v", got, err)
	}
	spec.Labels.Values["skein.dev/group"] = "" // a label's value may be empty, a group's name not
	if _, err := parseWishes(spec); !fault.Is(err, fault.Invalid) || !strings.HasPrefix(err.Error(), "spec.labels: skein.dev/group") {
		t.Errorf("got %v", err)
	}
}

func TestFailoverIsThePoliciesChangedByTheLaunch(t *testing.T) {
	no := false
	policies := &flow.Failover{Mode: flow.FailoverRestart, Strict: true, MaxMoves: 2}
	for _, c := range []struct {
		name     string
		wish     wishes
		policies *flow.Failover
		want     flow.Failover
	}{
		{"nobody says anything", wishes{}, nil, flow.Failover{Mode: flow.FailoverResume}},
		{"the policies", wishes{}, policies, *policies},
		{"the launch, by field", wishes{mode: flow.FailoverResume, maxMoves: 9}, policies, flow.Failover{Mode: flow.FailoverResume, Strict: true, MaxMoves: 9}},
		{"not strict", wishes{strict: &no}, policies, flow.Failover{Mode: flow.FailoverRestart, MaxMoves: 2}},
		{"never is not strict", wishes{mode: flow.FailoverNever}, policies, flow.Failover{Mode: flow.FailoverNever, MaxMoves: 2}},
	} {
		if got := c.wish.failover(c.policies); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func FuzzAnnotations(f *testing.F) {
	f.Add("prefer", "a:1;b")
	f.Add("tolerations", `[{"key":"a"}]`)
	f.Fuzz(func(t *testing.T, key, value string) {
		if _, err := parseWishes(annotated(map[string]string{"skein.dev/" + key: value})); err != nil && !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %q: %v", key, value, err)
		}
	})
}

func TestPlacesOfData(t *testing.T) {
	for uri, want := range map[string]string{
		"/store/a/b": "/store", "/store": "/store", "/storehouse/a/b": "/storehouse/a", "s3://bucket/a/b": "s3://bucket",
		"s3://bucket": "s3://bucket", "gs://b/": "gs://b", "file:///x/y": "", "": "", "relative/x": "", "/mnt/data/x/y": "/mnt/data",
	} {
		if got := place(uri, "/store"); got != want {
			t.Errorf("place(%q) = %q, want %q", uri, got, want)
		}
	}
	blob := func(uri string) *core.Literal {
		return &core.Literal{Value: &core.Literal_Scalar{Scalar: &core.Scalar{Value: &core.Scalar_Blob{Blob: &core.Blob{Uri: uri}}}}}
	}
	set := &core.Literal{Value: &core.Literal_Scalar{Scalar: &core.Scalar{Value: &core.Scalar_StructuredDataset{
		StructuredDataset: &core.StructuredDataset{Uri: "gs://sets/x"}}}}}
	list := &core.Literal{Value: &core.Literal_Collection{Collection: &core.LiteralCollection{Literals: []*core.Literal{blob("s3://one/a"), blob("s3://one/b"), set}}}}
	s := New(Config{}, Deps{Objects: rootOnly{root: "/store"}})
	inputs := &core.LiteralMap{Literals: map[string]*core.Literal{"l": list, "m": {Value: &core.Literal_Map{Map: &core.LiteralMap{
		Literals: map[string]*core.Literal{"k": blob("s3://two/c")}}}}}}
	if got, want := s.places(inputs, "s3://raw/here"), []string{"gs://sets", "s3://one", "s3://raw", "s3://two"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := s.places(nil, ""), []string{"/store"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v: raw output lies in the store by default", got, want)
	}
}

func TestHardwareOfTasks(t *testing.T) {
	pod := func(spec map[string]any) *core.TaskTemplate {
		s, err := structpb.NewStruct(spec)
		if err != nil {
			t.Fatal(err)
		}
		return &core.TaskTemplate{Target: &core.TaskTemplate_K8SPod{K8SPod: &core.K8SPod{PodSpec: s}},
			ExtendedResources: &core.ExtendedResources{GpuAccelerator: &core.GPUAccelerator{Device: "nvidia-tesla-a100"}}}
	}
	terms := func(terms ...any) map[string]any {
		return map[string]any{"affinity": map[string]any{"nodeAffinity": map[string]any{
			"requiredDuringSchedulingIgnoredDuringExecution": map[string]any{"nodeSelectorTerms": terms}}}}
	}
	in := func(key string, values ...any) map[string]any {
		return map[string]any{"matchExpressions": []any{map[string]any{"key": key, "operator": "In", "values": values}}}
	}
	arm := map[string]any{"nodeSelector": map[string]any{"kubernetes.io/arch": "arm64"}}
	for _, c := range []struct {
		name string
		pods []map[string]any
		want []string
	}{
		{"no word of it", []map[string]any{{}}, nil},
		{"a node selector", []map[string]any{arm}, []string{"arm64"}},
		{"a required affinity", []map[string]any{terms(in("kubernetes.io/arch", "arm64", "amd64"))}, []string{"amd64", "arm64"}},
		{"an affinity with a way out", []map[string]any{terms(in("kubernetes.io/arch", "arm64"), in("zone", "a"))}, nil},
		{"what suits both", []map[string]any{terms(in("kubernetes.io/arch", "arm64", "amd64")), arm}, []string{"arm64"}},
		{"nothing suits both", []map[string]any{terms(in("kubernetes.io/arch", "amd64")), arm}, []string{"amd64", "arm64"}},
	} {
		w := walk{accelerators: map[string]bool{}}
		for _, spec := range c.pods {
			w.hardware(pod(spec), nil)
		}
		if diff := cmp.Diff(c.want, common(w.architectures)); diff != "" {
			t.Errorf("%s:\n%s", c.name, diff)
		}
		if !w.accelerators["nvidia-tesla-a100"] {
			t.Errorf("%s: the accelerator was not seen", c.name)
		}
	}
}

func TestQualityOfServiceIsAClass(t *testing.T) {
	of := func(tier core.QualityOfService_Tier) *core.QualityOfService {
		return &core.QualityOfService{Designation: &core.QualityOfService_Tier_{Tier: tier}}
	}
	if got := tier(nil, of(core.QualityOfService_UNDEFINED), of(core.QualityOfService_LOW)); got != "low" {
		t.Errorf("got %q", got)
	}
	if got := tier(of(core.QualityOfService_HIGH), of(core.QualityOfService_LOW)); got != "high" {
		t.Errorf("got %q", got)
	}
}

// root is an object store of which only the root is asked.
type rootOnly struct {
	Objects
	root string
}

func (r rootOnly) Root() string { return r.root }
