package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	"github.com/skein-project/skein/admin/dataproxy"
	"github.com/skein-project/skein/admin/gateway"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/api/flyteidl/service"
)

// echo answers with what it was asked for.
type echo struct {
	service.UnimplementedAdminServiceServer
}

func (echo) GetTask(_ context.Context, req *admin.ObjectGetRequest) (*admin.Task, error) {
	return &admin.Task{Id: req.GetId()}, nil
}

// GetVersion answers with the credential that came along.
func (echo) GetVersion(ctx context.Context, _ *admin.GetVersionRequest) (*admin.GetVersionResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	return &admin.GetVersionResponse{ControlPlaneVersion: &admin.Version{
		Version: strings.Join(append(md.Get("flyte-authorization"), md.Get("authorization")...), " and ")}}, nil
}

func serve(t *testing.T) *httptest.Server {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer()
	service.RegisterAdminServiceServer(server, echo{})
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient("passthrough:///x", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	links := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.URL.Path) })
	handler, err := gateway.New(t.Context(), conn, links, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s
}

func get(t *testing.T, url, accept string) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if accept != "" {
		req.Header.Set("Accept", accept)
		req.Header.Set("Content-Type", accept)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body
}

func TestJSON(t *testing.T) {
	s := serve(t)
	code, body := get(t, s.URL+"/api/v1/tasks/p/d/pkg.mod.fn%3Ax/v%201", "")
	var task struct {
		ID struct {
			ResourceType string `json:"resource_type"`
			Name         string `json:"name"`
			Version      string `json:"version"`
		} `json:"id"`
		Short *string `json:"short_description"`
	}
	if err := json.Unmarshal(body, &task); err != nil || code != http.StatusOK {
		t.Fatalf("%d %s: %v", code, body, err)
	}
	if task.ID.Name != "pkg.mod.fn:x" || task.ID.Version != "v 1" || task.ID.ResourceType != "UNSPECIFIED" || task.Short == nil {
		t.Errorf("got %s", body)
	}
}

func TestProtobuf(t *testing.T) {
	code, body := get(t, serve(t).URL+"/api/v1/tasks/p/d/n/v", "application/octet-stream")
	got := &admin.Task{}
	if err := proto.Unmarshal(body, got); err != nil || code != http.StatusOK {
		t.Fatalf("%d %q: %v", code, body, err)
	}
	if want := (&core.Identifier{Project: "p", Domain: "d", Name: "n", Version: "v"}); !proto.Equal(got.GetId(), want) {
		t.Errorf("got %v, want %v", got.GetId(), want)
	}
}

func TestCredentials(t *testing.T) {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, serve(t).URL+"/api/v1/version", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("flyte-authorization", "Bearer a")
	req.Header.Set("Authorization", "Bearer b")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || !strings.Contains(string(body), "Bearer a and Bearer b") {
		t.Errorf("got %s, %v, want both credentials passed on", body, err)
	}
}

func TestRoutes(t *testing.T) {
	s := serve(t)
	for path, want := range map[string]int{
		"/healthcheck":                    http.StatusOK,
		"/config/v1/flyte_client":         http.StatusNotImplemented,
		"/me":                             http.StatusNotImplemented,
		"/api/v1/projects":                http.StatusNotImplemented,
		"/nothing":                        http.StatusNotFound,
		dataproxy.Prefix + "a//b/../%2e/": http.StatusOK,
	} {
		if code, body := get(t, s.URL+path, ""); code != want {
			t.Errorf("%s: %d %s, want %d", path, code, body, want)
		}
	}
}

func TestBodyLimit(t *testing.T) {
	resp, err := http.Post(serve(t).URL+"/api/v1/tasks", "application/json",
		io.MultiReader(strings.NewReader(`{"id":{"name":"`), bytes.NewReader(bytes.Repeat([]byte("x"), gateway.MaxBody+1))))
	if err != nil {
		return // the server may close the connection before it has read all
	}
	defer resp.Body.Close()
	if resp.StatusCode < 400 {
		t.Errorf("a body above the limit gave %d", resp.StatusCode)
	}
}
