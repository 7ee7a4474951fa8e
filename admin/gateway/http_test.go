package gateway_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/skein-project/skein/api/flyteidl/admin"
)

// reply is a response without its body.
type reply struct {
	StatusCode int
	Header     http.Header
}

// ask sends a request with headers given as name, value, name, value….
func (w *world) ask(t *testing.T, method, path, body string, headers ...string) (reply, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, w.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i+1] != "" {
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	resp, err := http.DefaultTransport.RoundTrip(req) // redirects would show here
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header}, string(answer)
}

// TestSpelling takes each path and query as clients spell it.
func TestSpelling(t *testing.T) {
	w := newWorld(t)
	w.seed(t)
	executions := "/api/v1/executions/flytesnacks/development"
	for _, c := range []struct {
		path string
		code int
		has  string
	}{
		{"/api/v1/tasks/flytesnacks/development/pkg.mod.t/v1", 200, `"name":"pkg.mod.t"`},
		{"/api/v1/tasks/flytesnacks/development/pkg%2Emod%2Et/v1", 200, `"name":"pkg.mod.t"`},
		{"/api/v1/tasks/flytesnacks/development/odd%20name:x+y&z=%C3%BC%2541/v1", 200, `"name":"odd name:x+y&z=ü%41"`},
		{"/api/v1/tasks/flytesnacks/development/odd%20name%3Ax%2By%26z%3D%c3%bc%2541/v1", 200, `adds one`},
		{"/api/v1/tasks/flytesnacks/development/../v1", 404, "flytesnacks:development:..:v1"},
		{"/api/v1/tasks/flytesnacks/development/a%2Fb/v1", 404, "not"},
		{"/api/v1/tasks/flytesnacks/development?limit=1&sort_by.key=version&sort_by.direction=ASCENDING", 200, `"version":"v1"`},
		{"/api/v1/tasks/flytesnacks/development?limit=1&sort_by.key=version&sort_by.direction=DESCENDING", 200, `"version":"v2"`},
		{"/api/v1/tasks/flytesnacks/development?limit=1&sortBy.key=version&sortBy.direction=1", 200, `"version":"v1"`},
		{"/api/v1/tasks/flytesnacks/development?limit=1&token=3&sort_by.key=version", 200, `"token":"4"`},
		{"/api/v1/tasks/flytesnacks/development?limit=many", 400, "limit"},
		{"/api/v1/tasks/flytesnacks/development", 400, "limit"},
		{"/api/v1/tasks/flytesnacks/development?limit=1&sort_by.direction=UP", 400, "UP"},
		{"/api/v1/tasks/flytesnacks/development?limit=1&novel=1", 200, `"token":"1"`},
		{executions + "?limit=9&filters=eq(phase,QUEUED)%2Bne(name,e1)%2bne(name,e2)%2Bne(name,e3)", 200, `"name":"e4"`},
		{executions + "?limit=9&filters=eq(phase,QUEUED)+ne(name,e1)+ne(name,e2)+ne(name,e3)", 200, `"name":"e4"`},
		{executions + "?limit=9&filters=value_in(name,e2;nobody)", 200, `"name":"e2"`},
		{executions + "?limit=9&filters=value_in(name,e2%3Bnobody)", 200, `"name":"e2"`},
		{executions + "?limit=9&filters=contains(name,%)+eq(name,e2)", 200, `"name":"e2"`},
		{executions + "?limit=9&filters=lt(created_at,2040-01-01T00:00:00+02:00)+eq(name,e2)", 200, `"name":"e2"`},
		{executions + "?limit=9&filters=lt(created_at,2040-01-01T00:00:00%2B02:00)+eq(name,e2)", 200, `"name":"e2"`},
		{executions + "?limit=9&filters=eq(execution.name,e2)", 200, `"name":"e2"`},
		{executions + "?limit=9&filters=odd", 400, "filters"},
		{"/api/v1/named_entities/WORKFLOW/flytesnacks/development/pkg.wf", 200, `"resource_type":"WORKFLOW"`},
		{"/api/v1/named_entities/2/flytesnacks/development/pkg.wf", 200, `"resource_type":"WORKFLOW"`},
		{"/api/v1/named_entities/SONG/flytesnacks/development/pkg.wf", 400, "SONG"},
		{"/api/v1/data?flyte_url=flyte://v1/flytesnacks/development/e0/n0/o", 200, `"literal_map"`},
		{"/api/v1/nothing", 404, `"code":5`},
		{"/api/v1//projects", 404, `"code":5`},
		{"/healthcheck", 200, ""},
		{"/me", 501, `"code":12`},
	} {
		resp, body := w.ask(t, "GET", c.path, "")
		if resp.StatusCode != c.code || !strings.Contains(strings.ReplaceAll(body, `": `, `":`), c.has) {
			t.Errorf("GET %s: %d %s, want %d with %q", c.path, resp.StatusCode, body, c.code, c.has)
		}
	}
}

// TestBodies changes and ends things with bodies in both encodings, and with
// none.
func TestBodies(t *testing.T) {
	w := newWorld(t)
	w.seed(t)
	at := "/api/v1/executions/flytesnacks/development/"
	archive, err := proto.Marshal(&admin.ExecutionUpdateRequest{State: admin.ExecutionState_EXECUTION_ARCHIVED})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		method, path, body, kind string
		code                     int
	}{
		{"PUT", at + "e1", `{"state":"EXECUTION_ARCHIVED","novel":1}`, "application/json", 200},
		{"PUT", at + "e1", `{"state":0}`, "application/json; charset=utf-8", 200},
		{"PUT", at + "e1", string(archive), octetStream, 200},
		{"PUT", at + "e1", `{"state":`, "application/json", 400},
		{"PUT", at + "e1", "\xff", octetStream, 400},
		{"DELETE", at + "e1", "", octetStream, 200},
		{"DELETE", at + "e2", "", "", 200},
		{"DELETE", at + "e3", `{"cause":"enough"}`, "application/json", 200},
		{"DELETE", at + "e3", `{"cause":"again"}`, "application/json", 400},
		{"DELETE", at + "e9", "{}", "application/json", 404},
		{"PATCH", at + "e1", "{}", "application/json", 501},
		{"POST", "/api/v1/projects", `{"project":{"id":"flytesnacks","name":"x"}}`, "", 409},
	} {
		if resp, body := w.ask(t, c.method, c.path, c.body, "Content-Type", c.kind); resp.StatusCode != c.code {
			t.Errorf("%s %s %q as %s: %d %s, want %d", c.method, c.path, c.body, c.kind, resp.StatusCode, body, c.code)
		}
	}
	if resp, body := w.ask(t, "GET", at+"e3", ""); resp.StatusCode != 200 || !strings.Contains(body, "enough") {
		t.Errorf("after DELETE with a cause: %s", body)
	}
}

const octetStream = "application/octet-stream"

// TestErrorsAreEncodedByAccept asks for the encoding in every spelling.
func TestErrorsAreEncodedByAccept(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct{ accept, content, want string }{
		{"", "", "application/json"}, {"*/*", "", "application/json"}, {"*/*", octetStream, octetStream}, {"", octetStream, octetStream},
		{octetStream, "", octetStream}, {octetStream + "; q=0.9, */*", "", octetStream}, {"text/html, application/octet-stream", "", octetStream},
		{"application/json, text/plain, */*", octetStream, "application/json"},
	} {
		resp, body := w.ask(t, "GET", "/api/v1/projects/nobody", "", "Accept", c.accept, "Content-Type", c.content)
		st := status.New(codes.OK, "").Proto()
		err := proto.Unmarshal([]byte(body), st)
		if c.want != octetStream {
			err = protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal([]byte(body), st)
		}
		if err != nil || resp.Header.Get("Content-Type") != c.want || resp.StatusCode != 404 || codes.Code(uint32(st.GetCode())) != codes.NotFound {
			t.Errorf("Accept %q, Content-Type %q: %d %s %q (%v), want a NOT_FOUND as %s", c.accept, c.content, resp.StatusCode,
				resp.Header.Get("Content-Type"), body, err, c.want)
		}
	}
}

// TestOtherMethods is what browsers and probes send beside calls.
func TestOtherMethods(t *testing.T) {
	w := newWorld(t)
	resp, body := w.ask(t, "HEAD", "/api/v1/version", "")
	if resp.StatusCode != 200 || body != "" || resp.Header.Get("Content-Type") != "application/json" {
		t.Errorf("HEAD: %d %v %q", resp.StatusCode, resp.Header, body)
	}
	resp, _ = w.ask(t, "HEAD", "/healthcheck", "")
	if resp.StatusCode != 200 {
		t.Errorf("HEAD /healthcheck: %d", resp.StatusCode)
	}
	resp, _ = w.ask(t, "OPTIONS", "/api/v1/executions/p/d/n", "", "Origin", "http://console.example",
		"Access-Control-Request-Method", "DELETE", "Access-Control-Request-Headers", "content-type,flyte-authorization")
	h := resp.Header
	if resp.StatusCode != 204 || h.Get("Access-Control-Allow-Origin") != "http://console.example" || !strings.Contains(h.Get("Access-Control-Allow-Methods"), "DELETE") ||
		h.Get("Access-Control-Allow-Headers") != "Content-Type, flyte-authorization" || h.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("preflight: %d %v", resp.StatusCode, h)
	}
	resp, _ = w.ask(t, "OPTIONS", "/api/v1/executions/p/d/n", "", "Origin", "http://stranger.example", "Access-Control-Request-Method", "DELETE")
	if h = resp.Header; h.Get("Access-Control-Allow-Origin") != "" || h.Get("Access-Control-Allow-Methods") != "" {
		t.Errorf("a page of a stranger may call: %v", h)
	}
	resp, _ = w.ask(t, "OPTIONS", "/api/v1/projects", "")
	if resp.StatusCode != 204 || !strings.Contains(resp.Header.Get("Allow"), "PUT") || resp.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("OPTIONS: %d %v", resp.StatusCode, resp.Header)
	}
	for _, path := range []string{"/api/v1/version", "/api/v1/projects/nobody"} {
		if resp, _ = w.ask(t, "GET", path, "", "Origin", "http://console.example"); resp.Header.Get("Access-Control-Allow-Origin") != "http://console.example" {
			t.Errorf("%s from a page: %v", path, resp.Header)
		}
	}
}

// TestOpenAPI demands a document with every path and no reference to nothing.
func TestOpenAPI(t *testing.T) {
	w := newWorld(t)
	resp, body := w.ask(t, "GET", "/api/v1/openapi", "")
	var doc struct {
		Swagger     string                    `json:"swagger"`
		Paths       map[string]map[string]any `json:"paths"`
		Definitions map[string]any            `json:"definitions"`
	}
	if err := json.Unmarshal([]byte(body), &doc); err != nil || resp.StatusCode != 200 || doc.Swagger != "2.0" {
		t.Fatalf("%d %.200s %v", resp.StatusCode, body, err)
	}
	for rpc, all := range bindingsOf(t) {
		for _, b := range all {
			if doc.Paths[b.Path][strings.ToLower(b.Verb)] == nil {
				t.Errorf("%s has no %s %s", rpc, b.Verb, b.Path)
			}
		}
	}
	for rest := body; ; {
		_, after, found := strings.Cut(rest, `"#/definitions/`)
		if !found {
			break
		}
		name, next, _ := strings.Cut(after, `"`)
		if rest = next; doc.Definitions[name] == nil {
			t.Fatalf("%s is referred to and not there", name)
		}
	}
}
