package assemble

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // the wire contract's digest
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/skein-project/skein/admin/dataproxy"
	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/api/flyteidl/service"
	"github.com/skein-project/skein/cmd/internal/config"
	"github.com/skein-project/skein/deploy/local/objectstore/objectstoretest"
	"github.com/skein-project/skein/plugins/blob"
)

// records is what the proxy asks of the service.
type records struct {
	dataproxy.Data
	deck string
}

func (r records) GetProject(context.Context, *admin.ProjectGetRequest) (*admin.Project, error) {
	return &admin.Project{Id: "p", Domains: []*admin.Domain{{Id: "d"}}}, nil
}

func (r records) GetNodeExecution(context.Context, *admin.NodeExecutionGetRequest) (*admin.NodeExecution, error) {
	return &admin.NodeExecution{Closure: &admin.NodeExecutionClosure{DeckUri: r.deck}}, nil
}

// bucketProxy is a proxy on a real S3 server.
func bucketProxy(t *testing.T) (*dataproxy.Proxy, *blob.Store) {
	t.Helper()
	s := objectstoretest.Start(t, "store")
	objectstoretest.Credentials(t, s)
	store, err := blob.Open(t.Context(), objects(config.Store{Root: "s3://store/root", Endpoint: s.Endpoint, PathStyle: true}, ""))
	if err != nil {
		t.Fatal(err)
	}
	p, err := newProxy(dataproxy.Config{PublicURL: "http://unused.example.com", Key: bytes.Repeat([]byte("k"), dataproxy.MinKey)},
		store, records{deck: store.Root() + "/metadata/n0/deck.html"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return p, store
}

func TestUploadsGoToTheBucket(t *testing.T) {
	p, store := bucketProxy(t)
	body := []byte("fast registration")
	sum := md5.Sum(body) //nolint:gosec // see above
	request := func() *service.CreateUploadLocationRequest {
		return &service.CreateUploadLocationRequest{Project: "p", Domain: "d", Filename: "fast file.tar.gz", FilenameRoot: "v1", ContentMd5: sum[:],
			AddContentMd5Metadata: true, ExpiresIn: durationpb.New(90 * time.Second)}
	}
	began := time.Now().Truncate(time.Second)
	out, err := p.CreateUploadLocation(t.Context(), request())
	if err != nil {
		t.Fatal(err)
	}
	link, err := url.Parse(out.GetSignedUrl())
	if err != nil || link.Query().Get("X-Amz-Expires") != "90" {
		t.Errorf("link = %s, %v, want one of 90 s", link, err)
	}
	if life := out.GetExpiresAt().AsTime().Sub(began); life < 90*time.Second || life > 95*time.Second {
		t.Errorf("it is said to expire after %s", life)
	}
	if names := slices.Sorted(maps.Keys(out.GetHeaders())); !slices.Equal(names, []string{"Content-MD5", "x-amz-meta-flytecontentmd5"}) {
		t.Errorf("headers = %v", out.GetHeaders())
	}
	if code := put(t, out, []byte("something else")); code != http.StatusBadRequest {
		t.Errorf("other content: %d, want 400", code)
	}
	for range 2 { // clients register again
		if code := put(t, out, body); code != http.StatusOK {
			t.Errorf("upload: %d, want 200", code)
		}
		if out, err = p.CreateUploadLocation(t.Context(), request()); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := store.Read(t.Context(), out.GetNativeUrl()); err != nil || !bytes.Equal(got, body) {
		t.Errorf("native_url: read %q, %v", got, err)
	}
	other := request()
	other.ContentMd5 = bytes.Repeat([]byte{1}, md5.Size)
	if _, err := p.CreateUploadLocation(t.Context(), other); !fault.Is(err, fault.Conflict) {
		t.Errorf("the name with other content: %v, want Conflict", err)
	}
}

func TestDecksComeFromTheBucket(t *testing.T) {
	p, store := bucketProxy(t)
	ask := &service.CreateDownloadLinkRequest{ArtifactType: service.ArtifactType_ARTIFACT_TYPE_DECK,
		Source: &service.CreateDownloadLinkRequest_NodeExecutionId{NodeExecutionId: &core.NodeExecutionIdentifier{NodeId: "n0"}}}
	if _, err := p.CreateDownloadLink(t.Context(), ask); !fault.Is(err, fault.NotFound) {
		t.Errorf("no deck yet: %v, want NotFound", err)
	}
	if err := store.Write(t.Context(), store.Root()+"/metadata/n0/deck.html", []byte("<p>deck</p>")); err != nil {
		t.Fatal(err)
	}
	out, err := p.CreateDownloadLink(t.Context(), ask)
	if err != nil {
		t.Fatal(err)
	}
	data, err := p.GetData(t.Context(), &service.GetDataRequest{FlyteUrl: "flyte://v1/p/d/e/n0/d"})
	if err != nil {
		t.Fatal(err)
	}
	location, err := p.CreateDownloadLocation(t.Context(), &service.CreateDownloadLocationRequest{NativeUrl: store.Root() + "/metadata/n0/deck.html"})
	if err != nil {
		t.Fatal(err)
	}
	for name, link := range map[string]string{"link": out.GetPreSignedUrls().GetSignedUrl()[0], "address": data.GetPreSignedUrls().GetSignedUrl()[0],
		"location": location.GetSignedUrl()} {
		if strings.Contains(link, "unused.example.com") {
			t.Errorf("%s leads to us: %s", name, link)
		}
		answer, err := http.Get(link)
		if err != nil {
			t.Fatal(err)
		}
		page, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || answer.StatusCode != http.StatusOK || string(page) != "<p>deck</p>" {
			t.Errorf("%s: %s %q, %v", name, answer.Status, page, err)
		}
	}
	for _, uri := range []string{"s3://store/outside", "s3://other/x", "/etc/passwd"} {
		if _, err := p.CreateDownloadLocation(t.Context(), &service.CreateDownloadLocationRequest{NativeUrl: uri}); !fault.Is(err, fault.NotFound) {
			t.Errorf("a link to %s: %v, want NotFound", uri, err)
		}
	}
}

func put(t *testing.T, to *service.CreateUploadLocationResponse, body []byte) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, to.GetSignedUrl(), bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range to.GetHeaders() {
		r.Header.Set(k, v)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	return answer.StatusCode
}

func TestPodsAreToldTheStore(t *testing.T) {
	c := config.DefaultPropeller()
	c.ObjectStore = config.Store{Root: "s3://b/p", Endpoint: "http://s3", Region: "r", PathStyle: true}
	want := []string{"--store", "s3://b/p", "--store-endpoint", "http://s3", "--store-region", "r", "--store-path-style"}
	if got := copilotStore(c.ObjectStore); !slices.Equal(got, want) {
		t.Errorf("copilot gets %q, want %q", got, want)
	}
	if env := podEnv(c); env[endpointVariable] != "http://s3" {
		t.Errorf("pods get %v, want the endpoint", env)
	}
	c.Pods.Env = map[string]string{endpointVariable: "http://nearer"}
	if env := podEnv(c); env[endpointVariable] != "http://nearer" {
		t.Errorf("pods get %v, want the operator's endpoint", env)
	}
	c.ObjectStore, c.Pods.Env = config.Store{Root: "/folder"}, nil
	if got, env := copilotStore(c.ObjectStore), podEnv(c); !slices.Equal(got, []string{"--store", "/folder"}) || len(env) != 0 {
		t.Errorf("of a folder, copilot gets %q and pods get %v", got, env)
	}
}
