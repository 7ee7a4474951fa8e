package dataproxy_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/skein-project/skein/admin/dataproxy"
	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/api/flyteidl/service"
)

// folder is an object store of a few lines; the real one is not admin's to
// import.
type folder struct{ root string }

func (f folder) Root() string { return f.root }

func (f folder) Reader(_ context.Context, uri string) (io.ReadCloser, error) {
	file, err := os.Open(uri)
	if os.IsNotExist(err) {
		return nil, fault.E(fault.NotFound, "no object %s", uri)
	}
	return file, err
}

func (f folder) Attributes(_ context.Context, uri string) (int64, []byte, error) {
	info, err := os.Stat(uri)
	if err != nil {
		return 0, nil, fault.E(fault.NotFound, "no object %s", uri)
	}
	return info.Size(), nil, nil
}

func (f folder) Create(ctx context.Context, uri string, _ bool) (io.WriteCloser, error) {
	if _, err := os.Stat(uri); err == nil {
		return nil, fault.E(fault.Conflict, "object %s exists already", uri)
	}
	return &file{ctx: ctx, uri: uri, full: strings.HasSuffix(uri, "-on-a-full-disk")}, nil
}

type file struct {
	bytes.Buffer
	ctx  context.Context
	uri  string
	full bool
}

func (f *file) Write(p []byte) (int, error) {
	if f.full {
		return 0, fault.E(fault.Exhausted, "the disk is full")
	}
	return f.Buffer.Write(p)
}

func (f *file) Close() error {
	if f.ctx.Err() != nil {
		return f.ctx.Err()
	}
	if err := os.MkdirAll(filepath.Dir(f.uri), 0o755); err != nil {
		return err
	}
	return os.WriteFile(f.uri, f.Bytes(), 0o644)
}

// records answers what links lead to.
type records struct {
	dataproxy.Data
	deck string
}

func (r records) GetProject(_ context.Context, req *admin.ProjectGetRequest) (*admin.Project, error) {
	if req.GetId() != "p" {
		return nil, fault.E(fault.NotFound, "no project")
	}
	return &admin.Project{Id: "p", Domains: []*admin.Domain{{Id: "development"}}}, nil
}

func (r records) GetNodeExecution(context.Context, *admin.NodeExecutionGetRequest) (*admin.NodeExecution, error) {
	return &admin.NodeExecution{Closure: &admin.NodeExecutionClosure{DeckUri: r.deck}}, nil
}

func (r records) GetNodeExecutionData(context.Context, *admin.NodeExecutionGetDataRequest) (*admin.NodeExecutionGetDataResponse, error) {
	return &admin.NodeExecutionGetDataResponse{FullOutputs: literals(7)}, nil
}

func (r records) ListTaskExecutions(context.Context, *admin.TaskExecutionListRequest) (*admin.TaskExecutionList, error) {
	return &admin.TaskExecutionList{TaskExecutions: []*admin.TaskExecution{{Id: &core.TaskExecutionIdentifier{RetryAttempt: 1}}}}, nil
}

func (r records) GetTaskExecutionData(context.Context, *admin.TaskExecutionGetDataRequest) (*admin.TaskExecutionGetDataResponse, error) {
	return &admin.TaskExecutionGetDataResponse{FullInputs: literals(8)}, nil
}

func literals(n int64) *core.LiteralMap {
	return &core.LiteralMap{Literals: map[string]*core.Literal{"o0": {Value: &core.Literal_Scalar{Scalar: &core.Scalar{
		Value: &core.Scalar_Primitive{Primitive: &core.Primitive{Value: &core.Primitive_Integer{Integer: n}}},
	}}}}}
}

// rig is a proxy behind a real HTTP server, with a clock to turn.
type rig struct {
	*dataproxy.Proxy
	root string
	now  time.Time
	url  string
}

var key = bytes.Repeat([]byte("k"), dataproxy.MinKey)

func newRig(t *testing.T, cfg dataproxy.Config, root string) *rig {
	t.Helper()
	r := &rig{root: root, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	var handler http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { handler.ServeHTTP(w, req) }))
	t.Cleanup(server.Close)
	cfg.PublicURL = server.URL + "/"
	if cfg.Key == nil {
		cfg.Key = key
	}
	var err error
	r.Proxy, err = dataproxy.New(cfg, dataproxy.Deps{
		Objects: folder{root}, Data: records{deck: root + "/metadata/n0/deck.html"},
		Now: func() time.Time { return r.now }, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	handler, r.url = r.Handler(), server.URL
	return r
}

func (r *rig) upload(t *testing.T, req *service.CreateUploadLocationRequest) *service.CreateUploadLocationResponse {
	t.Helper()
	req.Project, req.Domain = "p", "development"
	out, err := r.CreateUploadLocation(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func do(t *testing.T, method, link, body string, headers map[string]string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, link, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range headers {
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(answer)
}

func md5Of(s string) []byte { sum := md5.Sum([]byte(s)); return sum[:] }

func TestUploadWithDigest(t *testing.T) {
	r := newRig(t, dataproxy.Config{}, t.TempDir())
	out := r.upload(t, &service.CreateUploadLocationRequest{Filename: "fast 1%2F:ü.tar.gz", ContentMd5: md5Of("hello"), AddContentMd5Metadata: true})
	if !strings.HasPrefix(out.GetNativeUrl(), r.root+"/uploads/p/development/") || !strings.HasSuffix(out.GetNativeUrl(), "/fast 1%2F:ü.tar.gz") {
		t.Errorf("native url %q is no bare path that ends in the file name", out.GetNativeUrl())
	}
	if got := out.GetHeaders()["Content-MD5"]; got != base64.StdEncoding.EncodeToString(md5Of("hello")) {
		t.Errorf("headers = %v", out.GetHeaders())
	}
	for _, c := range []struct {
		name, body string
		headers    map[string]string
		want       int
	}{
		{"no header", "hello", nil, 400},
		{"another header", "hello", map[string]string{"Content-MD5": "x"}, 400},
		{"another body", "hellO", out.GetHeaders(), 400},
		{"right", "hello", out.GetHeaders(), 200},
		{"again", "hello", out.GetHeaders(), 200},
	} {
		if code, answer := do(t, http.MethodPut, out.GetSignedUrl(), c.body, c.headers); code != c.want {
			t.Errorf("%s: %d %s, want %d", c.name, code, answer, c.want)
		}
		if _, err := os.Stat(out.GetNativeUrl()); (err == nil) != (c.want == 200) {
			t.Errorf("%s: object there = %v", c.name, err == nil)
		}
	}
	if got, _ := os.ReadFile(out.GetNativeUrl()); string(got) != "hello" {
		t.Errorf("stored %q", got)
	}
}

func TestAFullStoreIsNoFaultOfTheUpload(t *testing.T) {
	r := newRig(t, dataproxy.Config{}, t.TempDir())
	out := r.upload(t, &service.CreateUploadLocationRequest{FilenameRoot: "root", Filename: "file-on-a-full-disk"})
	if code, answer := do(t, http.MethodPut, out.GetSignedUrl(), "hello", nil); code != http.StatusInsufficientStorage || !strings.Contains(answer, "the disk is full") {
		t.Errorf("%d %s, want 507 with the reason", code, answer)
	}
}

func TestUploadWithoutDigestIsWrittenOnce(t *testing.T) {
	r := newRig(t, dataproxy.Config{MaxUpload: 8}, t.TempDir())
	out := r.upload(t, &service.CreateUploadLocationRequest{FilenameRoot: "root", Filename: "dir/file"})
	for _, c := range []struct {
		body string
		want int
	}{{"more than 8", 413}, {"first", 200}, {"second", 409}, {"first", 409}} {
		if code, answer := do(t, http.MethodPut, out.GetSignedUrl(), c.body, nil); code != c.want {
			t.Errorf("%q: %d %s, want %d", c.body, code, answer, c.want)
		}
	}
	if got, _ := os.ReadFile(out.GetNativeUrl()); string(got) != "first" {
		t.Errorf("stored %q", got)
	}
	_, err := r.CreateUploadLocation(t.Context(), &service.CreateUploadLocationRequest{Project: "p", Domain: "development",
		FilenameRoot: "root", Filename: "dir/file", ContentMd5: md5Of("other")})
	if !fault.Is(err, fault.Conflict) {
		t.Errorf("a taken name with other content: %v", err)
	}
	r.upload(t, &service.CreateUploadLocationRequest{FilenameRoot: "root", Filename: "dir/file", ContentMd5: md5Of("first")})
}

func TestLinksAreChecked(t *testing.T) {
	root := t.TempDir()
	r := newRig(t, dataproxy.Config{}, root)
	link := func() string {
		return r.upload(t, &service.CreateUploadLocationRequest{FilenameRoot: "r"}).GetSignedUrl()
	}
	change := func(f func(*url.URL, url.Values)) string {
		u, _ := url.Parse(link())
		q := u.Query()
		f(u, q)
		u.RawQuery = q.Encode()
		return u.String()
	}
	for name, c := range map[string]struct {
		method, link string
		want         int
	}{
		"another method":  {http.MethodGet, link(), 403},
		"no such method":  {http.MethodDelete, link(), 405},
		"another object":  {http.MethodPut, change(func(u *url.URL, _ url.Values) { u.Path += "x" }), 403},
		"later expiry":    {http.MethodPut, change(func(_ *url.URL, q url.Values) { q.Set("exp", "99999999999") }), 403},
		"a digest":        {http.MethodPut, change(func(_ *url.URL, q url.Values) { q.Set("md5", "x") }), 403},
		"no signature":    {http.MethodPut, change(func(_ *url.URL, q url.Values) { q.Del("sig") }), 403},
		"another key id":  {http.MethodPut, change(func(_ *url.URL, q url.Values) { q.Set("kid", "00000000") }), 403},
		"climbing":        {http.MethodPut, change(func(u *url.URL, _ url.Values) { u.Path = dataproxy.Prefix + "a/../../x" }), 400},
		"hidden climbing": {http.MethodPut, strings.Replace(link(), "/uploads/", "/uploads/%2e%2e/%2e%2e/", 1), 400},
		"outside":         {http.MethodPut, r.url + "/other", 404},
	} {
		if code, answer := do(t, c.method, c.link, "x", nil); code != c.want {
			t.Errorf("%s: %d %s, want %d", name, code, answer, c.want)
		}
	}
	expired := link()
	r.now = r.now.Add(dataproxy.DefaultExpiry)
	if code, _ := do(t, http.MethodPut, expired, "x", nil); code != 403 {
		t.Errorf("expired: %d", code)
	}
	if left, _ := filepath.Glob(root + "/*"); len(left) != 0 {
		t.Errorf("refused uploads left %q", left)
	}
}

func TestReplicasShareAKey(t *testing.T) {
	root := t.TempDir()
	a, b := newRig(t, dataproxy.Config{}, root), newRig(t, dataproxy.Config{}, root)
	other := newRig(t, dataproxy.Config{Key: bytes.Repeat([]byte("o"), dataproxy.MinKey)}, root)
	link := a.upload(t, &service.CreateUploadLocationRequest{FilenameRoot: "r"}).GetSignedUrl()
	if code, answer := do(t, http.MethodPut, strings.Replace(link, a.url, other.url, 1), "x", nil); code != 403 {
		t.Errorf("a replica with another key: %d %s", code, answer)
	}
	if code, answer := do(t, http.MethodPut, strings.Replace(link, a.url, b.url, 1), "x", nil); code != 200 {
		t.Errorf("a replica with the same key: %d %s", code, answer)
	}
}

func TestDownloads(t *testing.T) {
	r := newRig(t, dataproxy.Config{}, t.TempDir())
	deck := r.root + "/metadata/n0/deck.html"
	id := &core.NodeExecutionIdentifier{NodeId: "n0", ExecutionId: &core.WorkflowExecutionIdentifier{Project: "p", Domain: "development", Name: "e"}}
	ask := &service.CreateDownloadLinkRequest{ArtifactType: service.ArtifactType_ARTIFACT_TYPE_DECK,
		Source: &service.CreateDownloadLinkRequest_NodeExecutionId{NodeExecutionId: id}}
	if _, err := r.CreateDownloadLink(t.Context(), ask); !fault.Is(err, fault.NotFound) {
		t.Errorf("a deck that is not there: %v", err)
	}
	if err := os.MkdirAll(filepath.Dir(deck), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(deck, []byte("<html>0123456789"), 0o644); err != nil {
		t.Fatal(err)
	}
	link, err := r.CreateDownloadLink(t.Context(), ask)
	if err != nil {
		t.Fatal(err)
	}
	signed := link.GetPreSignedUrls().GetSignedUrl()[0]
	if code, body := do(t, http.MethodGet, signed, "", nil); code != 200 || body != "<html>0123456789" {
		t.Errorf("deck: %d %s", code, body)
	}
	if code, body := do(t, http.MethodGet, signed, "", map[string]string{"Range": "bytes=6-8"}); code != 206 || body != "012" {
		t.Errorf("range: %d %q", code, body)
	}
	if code, body := do(t, http.MethodHead, signed, "", nil); code != 200 || body != "" {
		t.Errorf("head: %d %q", code, body)
	}
	if code, _ := do(t, http.MethodPut, signed, "x", nil); code != 403 {
		t.Errorf("put on a download: %d", code)
	}
	for uri, want := range map[string]fault.Kind{
		deck: 0, "file://" + deck: 0, "/etc/passwd": fault.NotFound, r.root + "/../x": fault.Invalid, r.root + "/nothing": fault.NotFound, "": fault.Invalid,
	} {
		_, err := r.CreateDownloadLocation(t.Context(), &service.CreateDownloadLocationRequest{NativeUrl: uri})
		if (want == 0) != (err == nil) || (want != 0 && !fault.Is(err, want)) {
			t.Errorf("download location %q: %v, want %v", uri, err, want)
		}
	}
}

func TestBadUploadRequests(t *testing.T) {
	r := newRig(t, dataproxy.Config{}, t.TempDir())
	good := func() *service.CreateUploadLocationRequest {
		return &service.CreateUploadLocationRequest{Project: "p", Domain: "development", FilenameRoot: "r", Filename: "f"}
	}
	for name, c := range map[string]struct {
		field string
		spoil func(*service.CreateUploadLocationRequest)
	}{
		"no project":        {"project", func(q *service.CreateUploadLocationRequest) { q.Project = "" }},
		"unknown project":   {"project", func(q *service.CreateUploadLocationRequest) { q.Project = "x" }},
		"no domain":         {"domain", func(q *service.CreateUploadLocationRequest) { q.Domain = "" }},
		"unknown domain":    {"domain", func(q *service.CreateUploadLocationRequest) { q.Domain = "x" }},
		"no digest or root": {"content_md5", func(q *service.CreateUploadLocationRequest) { q.FilenameRoot = "" }},
		"short digest":      {"content_md5", func(q *service.CreateUploadLocationRequest) { q.ContentMd5 = []byte("x") }},
		"negative expiry":   {"expires_in", func(q *service.CreateUploadLocationRequest) { q.ExpiresIn = durationpb.New(-1) }},
		"long expiry":       {"expires_in", func(q *service.CreateUploadLocationRequest) { q.ExpiresIn = durationpb.New(2 * time.Hour) }},
		"climbing root":     {"filename_root", func(q *service.CreateUploadLocationRequest) { q.FilenameRoot = "../x" }},
		"absolute root":     {"filename_root", func(q *service.CreateUploadLocationRequest) { q.FilenameRoot = "/x" }},
		"climbing name":     {"filename", func(q *service.CreateUploadLocationRequest) { q.Filename = "a/../../../b" }},
		"control character": {"filename", func(q *service.CreateUploadLocationRequest) { q.Filename = "a\nb" }},
		"long name":         {"filename", func(q *service.CreateUploadLocationRequest) { q.Filename = strings.Repeat("x", 300) }},
	} {
		req := good()
		c.spoil(req)
		_, err := r.CreateUploadLocation(t.Context(), req)
		if !fault.Is(err, fault.Invalid) || !strings.HasPrefix(err.Error(), c.field+": ") {
			t.Errorf("%s: %v, want Invalid about %s", name, err, c.field)
		}
	}
}

func TestGetData(t *testing.T) {
	r := newRig(t, dataproxy.Config{}, t.TempDir())
	for address, want := range map[string]fault.Kind{
		"flyte://v1/p/development/e/n0/o":         0,
		"flyte://v1/p/development/e/n0/o/o0":      0,
		"flyte://v1/p/development/e/n0/1/i":       0,
		"flyte://v1/p/development/e/n0/o/nothing": fault.NotFound,
		"flyte://v1/p/development/e/n0/2/i":       fault.NotFound,
		"flyte://v1/p/development/e/n0/d":         fault.NotFound,
		"flyte://v1/p/development/e/n0":           fault.Invalid,
		"flyte://v1/p/development/e/n0/x":         fault.Invalid,
		"flyte://v1/p/development/e/n0/io":        fault.Invalid,
		"flyte://v1/p/development//n0/i":          fault.Invalid,
		"flyte://v2/p/development/e/n0/i":         fault.Invalid,
		"flyte://v1/p/development/e/n0/1/d":       fault.Invalid,
		"":                                        fault.Invalid,
	} {
		_, err := r.GetData(t.Context(), &service.GetDataRequest{FlyteUrl: address})
		if (want == 0) != (err == nil) || (want != 0 && !fault.Is(err, want)) {
			t.Errorf("%q: %v, want %v", address, err, want)
		}
	}
}

// FuzzLinks throws paths and queries at the handler: nothing unsigned is ever
// written or read.
func FuzzLinks(f *testing.F) {
	for _, seed := range []string{"a/b", "../x", "a//b", "%2e%2e/x", "a\x00b", "uploads/p/d/r/f", "./.", "ü"} {
		f.Add(seed, "kid=1&exp=99999999999&sig=x")
	}
	dir := f.TempDir()
	p, err := dataproxy.New(dataproxy.Config{PublicURL: "http://x", Key: key}, dataproxy.Deps{
		Objects: folder{dir + "/store"}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		f.Fatal(err)
	}
	handler := p.Handler()
	f.Fuzz(func(t *testing.T, path, query string) {
		for _, method := range []string{http.MethodPut, http.MethodGet} {
			req := &http.Request{Method: method, URL: &url.URL{Path: dataproxy.Prefix + path, RawQuery: query},
				Header: http.Header{}, Body: io.NopCloser(strings.NewReader("x"))}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, req)
			if w.Code < 400 {
				t.Errorf("%s %q?%s gave %d", method, path, query, w.Code)
			}
		}
		if left, _ := filepath.Glob(dir + "/*"); len(left) != 0 {
			t.Errorf("%q wrote %q", path, left)
		}
	})
}
