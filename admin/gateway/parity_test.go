package gateway_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/skein-project/skein/admin/gateway"
)

const (
	perBinding = 16 // requests that are made of each path
)

// unbuilt are the methods that answer UNIMPLEMENTED, whatever they are asked.
var unbuilt = map[protoreflect.Name]bool{
	"RecoverExecution": true, "GetExecutionMetrics": true, "CreateWorkflowEvent": true, "CreateNodeEvent": true, "CreateTaskEvent": true,
	"UpdateProjectAttributes": true, "UpdateProjectDomainAttributes": true, "UpdateWorkflowAttributes": true,
	"GetOrCreateSignal": true, "ListSignals": true, "SetSignal": true,
}

// answer is what one transport says.
type answer struct {
	Code    codes.Code
	Message string
	Details []proto.Message
	Body    proto.Message
}

// TestParity asks each method of Flyte's API the same by gRPC and by HTTP in
// both encodings, each in a world of its own, and demands the same answers.
func TestParity(t *testing.T) {
	byGRPC, byJSON, byOctets := newWorld(t), newWorld(t), newWorld(t)
	for _, w := range []*world{byGRPC, byJSON, byOctets} {
		w.seed(t)
	}
	bindings := bindingsOf(t)
	m := &maker{Rand: rand.New(rand.NewPCG(1, 2))}
	right := map[protoreflect.FullName]int{}
	for _, name := range []string{"AdminService", "DataProxyService", "SignalService"} {
		d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName("flyteidl.service." + name))
		if err != nil {
			t.Fatal(err)
		}
		methods := d.(protoreflect.ServiceDescriptor).Methods()
		for i := range methods.Len() {
			method := methods.Get(i)
			if len(bindings[method.FullName()]) == 0 && method.Name() != "GetOrCreateSignal" {
				t.Errorf("%s has no path", method.FullName())
			}
			for _, b := range append([]gateway.Binding{{}}, bindings[method.FullName()]...) {
				right[method.FullName()] += parity(t, m, method, b, byGRPC, byJSON, byOctets)
			}
		}
	}
	for method, n := range right {
		if n == 0 && !unbuilt[method.Name()] && !refusing[method.Name()] {
			t.Errorf("%s never answered OK: the test asks it nothing of use", method)
		}
	}
}

// refusing are methods that find nothing, since nothing can be set.
var refusing = map[protoreflect.Name]bool{
	"GetProjectDomainAttributes": true, "GetWorkflowAttributes": true, "GetDynamicNodeWorkflow": true,
	"DeleteProjectAttributes": true, "DeleteProjectDomainAttributes": true, "DeleteWorkflowAttributes": true, "CreateDownloadLocation": true,
}

// parity asks one method by one path, and counts the right answers. Without a
// path it asks by gRPC only, which must agree with what is unbuilt.
func parity(t *testing.T, m *maker, method protoreflect.MethodDescriptor, b gateway.Binding, byGRPC, byJSON, byOctets *world) (right int) {
	t.Helper()
	for asked, tries := 0, 0; asked < perBinding; tries++ {
		if tries > 50*perBinding {
			t.Fatalf("%s: only %d requests fit %s", method.FullName(), asked, b.Path)
		}
		in := m.request(method, asked == 0)
		if b.Path == "" {
			if !unbuilt[method.Name()] {
				return 0
			}
			if got := byGRPC.grpc(t, method, in); got.Code != codes.Unimplemented {
				t.Errorf("%s by gRPC: %v %s, want UNIMPLEMENTED", method.FullName(), got.Code, got.Message)
			}
			return 0
		}
		path, ok := pathOf(b, in)
		if !ok {
			continue
		}
		asked++
		want := byGRPC.grpc(t, method, in)
		if want.Code == codes.OK {
			right++
		}
		if unbuilt[method.Name()] != (want.Code == codes.Unimplemented) && !strings.Contains(want.Message, "schedule") {
			t.Errorf("%s by gRPC: %v %s", method.FullName(), want.Code, want.Message)
		}
		for kind, w := range map[string]*world{"application/json": byJSON, "application/octet-stream": byOctets} {
			got := w.http(t, method, b, path, kind, in)
			if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
				t.Errorf("%s %s as %s\n%v\ndiffers from gRPC (-) by\n%s", b.Verb, path, kind, in, diff)
			}
		}
	}
	return right
}

func bindingsOf(t *testing.T) map[protoreflect.FullName][]gateway.Binding {
	t.Helper()
	all, err := gateway.Bindings()
	if err != nil {
		t.Fatal(err)
	}
	out := map[protoreflect.FullName][]gateway.Binding{}
	for _, b := range all {
		out[b.RPC] = append(out[b.RPC], b)
	}
	return out
}

func (w *world) grpc(t *testing.T, method protoreflect.MethodDescriptor, in proto.Message) answer {
	t.Helper()
	out := outputOf(t, method)
	err := w.conn.Invoke(t.Context(), fmt.Sprintf("/%s/%s", method.Parent().FullName(), method.Name()), in, out)
	return answered(t, status.Convert(err), out)
}

func (w *world) http(t *testing.T, method protoreflect.MethodDescriptor, b gateway.Binding, path, kind string, in proto.Message) answer {
	t.Helper()
	var body []byte
	var err error
	if b.Body && kind == "application/json" {
		body, err = protojson.Marshal(in)
	} else if b.Body {
		body, err = proto.Marshal(in)
	}
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), b.Verb, w.url+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", kind)
	req.Header.Set("Content-Type", kind)
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err = io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
	if got := resp.Header.Get("Content-Type"); got != kind {
		t.Errorf("%s %s: the answer is %s, want %s", b.Verb, path, got, kind)
	}
	out, st := outputOf(t, method), status.New(codes.Unknown, "").Proto()
	into := proto.Message(st)
	if resp.StatusCode == http.StatusOK {
		into, st = out, nil
	}
	if kind == "application/json" {
		err = protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(body, into)
	} else {
		err = proto.Unmarshal(body, into)
	}
	if err != nil {
		t.Fatalf("%s %s: %d %q: %v", b.Verb, path, resp.StatusCode, body, err)
	}
	got := answered(t, status.FromProto(st), out)
	if want := runtime.HTTPStatusFromCode(got.Code); resp.StatusCode != want {
		t.Errorf("%s %s: %d, want %d for %v", b.Verb, path, resp.StatusCode, want, got.Code)
	}
	var failure struct{ Error, Message string }
	if kind == "application/json" && st != nil && (json.Unmarshal(body, &failure) != nil || failure.Error == "" || failure.Error != failure.Message) {
		t.Errorf("%s %s: %s has not its message as error, too", b.Verb, path, body)
	}
	return got
}

// answered is an answer without what is never twice the same.
func answered(t *testing.T, st *status.Status, out proto.Message) answer {
	t.Helper()
	a := answer{Code: st.Code(), Message: st.Message()}
	for _, d := range st.Proto().GetDetails() {
		detail, err := d.UnmarshalNew()
		if err != nil {
			t.Fatal(err)
		}
		scrub(detail.ProtoReflect())
		a.Details = append(a.Details, detail)
	}
	if a.Code == codes.OK {
		scrub(out.ProtoReflect())
		a.Body = out
	}
	return a
}

// scrub removes times, which the store takes from the real clock.
func scrub(m protoreflect.Message) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Message() == nil:
		case f.Message().FullName() == "google.protobuf.Timestamp" || f.Message().FullName() == "google.protobuf.Duration":
			m.Clear(f)
		case f.IsList():
			for i := range v.List().Len() {
				scrub(v.List().Get(i).Message())
			}
		case !f.IsMap():
			scrub(v.Message())
		}
		return true
	})
}

func outputOf(t *testing.T, method protoreflect.MethodDescriptor) proto.Message {
	t.Helper()
	kind, err := protoregistry.GlobalTypes.FindMessageByName(method.Output().FullName())
	if err != nil {
		t.Fatal(err)
	}
	return kind.New().Interface()
}

var placeholder = regexp.MustCompile(`\{([^}]+)\}`)

// pathOf is a request's path and query; false if the path cannot have it.
func pathOf(b gateway.Binding, in proto.Message) (string, bool) {
	rest := proto.Clone(in).ProtoReflect()
	possible := true
	path := placeholder.ReplaceAllStringFunc(b.Path, func(field string) string {
		value := take(rest, strings.Split(strings.Trim(field, "{}"), "."))
		possible = possible && value != ""
		return url.PathEscape(value)
	})
	if b.Body {
		return path, possible
	}
	query := url.Values{}
	flatten(rest, "", query)
	if len(query) == 0 {
		return path, possible
	}
	return path + "?" + query.Encode(), possible
}

// take removes a field and prints it as it is written in a path.
func take(m protoreflect.Message, path []string) string {
	f := m.Descriptor().Fields().ByName(protoreflect.Name(path[0]))
	if len(path) > 1 {
		if !m.Has(f) {
			return ""
		}
		return take(m.Mutable(f).Message(), path[1:])
	}
	value := printed(f, m.Get(f))
	m.Clear(f)
	return value
}

func printed(f protoreflect.FieldDescriptor, v protoreflect.Value) string {
	if f.Kind() == protoreflect.EnumKind {
		return string(f.Enum().Values().ByNumber(v.Enum()).Name())
	}
	return v.String()
}

// flatten writes what is set as parameters of a query.
func flatten(m protoreflect.Message, prefix string, into url.Values) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		name := prefix + string(f.Name())
		switch {
		case f.IsList():
			for i := range v.List().Len() {
				into.Add(name, printed(f, v.List().Get(i)))
			}
		case f.Message() == nil:
			into.Set(name, printed(f, v))
		case strings.HasPrefix(string(f.Message().FullName()), "google.protobuf."):
			data, _ := protojson.Marshal(v.Message().Interface()) // a time or a duration, made by us
			into.Set(name, strings.Trim(string(data), `"`))
		default:
			flatten(v.Message(), name+".", into)
		}
		return true
	})
}
