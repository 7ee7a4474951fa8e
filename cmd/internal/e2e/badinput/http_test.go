package badinput

import (
	"context"
	"crypto/md5" //nolint:gosec // the wire contract's digest
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/skein-project/skein/admin/dataproxy"
	"github.com/skein-project/skein/api/flyteidl/service"
)

// rest are calls of the REST gateway, whose errors are JSON with code and message.
func (r *rig) rest(*testing.T) []row {
	const kind = "application/json"
	bad := func(name, want, says, method, path, kind, body string) row {
		return row{"REST: " + name, want, says, web(method, r.web+path, kind, body)}
	}
	create := func(name, want, says, kind, body string) row {
		return bad(name, want, says, http.MethodPost, "/api/v1/executions", kind, body)
	}
	list := func(name, says, query string) row {
		return bad(name, "HTTP 400", says, http.MethodGet, "/api/v1/executions/"+project+"/"+domain+query, "", "")
	}
	return []row{
		create("JSON that ends early", "HTTP 400", `"code":3.*"message":".*unexpected`, kind, `{"project": "fly`),
		create("JSON that is none", "HTTP 400", `"code":3.*body: is not the JSON.*invalid character`, kind, `project=flytesnacks`),
		create("a list for a message", "HTTP 400", `"code":3.*unexpected token \[`, kind, `[]`),
		create("a number for text", "HTTP 400", `"code":3.*project`, kind, `{"project": 7}`),
		create("text for a number", "HTTP 400", `"code":3.*body: .*max_?[pP]arallelism`, kind, `{"spec": {"maxParallelism": "many"}}`),
		create("11,000 nested objects", "HTTP 400", `"code":3.*(depth|recursion)`, kind, `{"inputs":{"literals":{"a":`+
			strings.Repeat(`{"collection":{"literals":[`, 6000)+strings.Repeat("]}}", 6000)+`}}}`),
		create("text that is not UTF-8", "HTTP 400", `"code":3.*UTF-8`, kind, "{\"project\": \"\xc3\x28\"}"),
		create("XML", "HTTP 400", `"code":3.*body: is not the JSON.*invalid character`, "application/xml", `<project>flytesnacks</project>`),
		create("no body", "HTTP 400", `"code":3.*project: must be set`, kind, ``),
		create("protobuf that is none", "HTTP 400", `body: is not the protobuf of this call.*cannot parse`, "application/octet-stream", "\xff\xffhello"),
		create("a body above the limit", "HTTP 413", `body: has .* at most 20971520`, kind, `{"project": "`+strings.Repeat("x", 21<<20)+`"}`),
		create("a field's own rule", "HTTP 400", `"code":3.*\\"nobody\\" does not exist`, kind, `{"project": "nobody", "domain": "development"}`),
		list("a limit that is no number", `"code":3.*limit`, "?limit=many"),
		list("a negative limit", `"code":3.*limit`, "?limit=-1"),
		list("no limit", `"code":3.*limit: must be above 0`, ""),
		list("a filter that is none", `"code":3.*filters: `, "?limit=1&filters=phase"),
		list("an order that is none", `"code":3.*sort_by`, "?limit=1&sort_by.key=color"),
		list("a direction that is none", `"code":3.*direction`, "?limit=1&sort_by.key=created_at&sort_by.direction=UP"),
		bad("a path that is none", "HTTP 404", `"code":5`, http.MethodGet, "/api/v1/rockets", "", ""),
		bad("a method that is none", "HTTP 501", `"code":12.*Method Not Allowed`, http.MethodDelete, "/api/v1/executions", "", ""),
		bad("a path with a NUL", "HTTP 400", `"code":3.*id.name: .*control`, http.MethodGet, "/api/v1/executions/"+project+"/"+domain+"/a%00b", "", ""),
		bad("a path that is not UTF-8", "HTTP 400", `"code":3.*UTF-8`, http.MethodGet, "/api/v1/executions/"+project+"/"+domain+"/a%c3%28", "", ""),
		bad("an execution that is unknown", "HTTP 404", `"code":5.*ghost`, http.MethodGet, "/api/v1/executions/"+project+"/"+domain+"/ghost", "", ""),
		{"REST: an escape that is none", "HTTP 400", "Bad Request", r.raw("GET /api/v1/executions/" + project + "/%zz HTTP/1.1\r\nHost: skein\r\nConnection: close\r\n\r\n")},
		{"REST: headers above the limit", "HTTP 431", "Request Header Fields Too Large", r.raw("GET /api/v1/version HTTP/1.1\r\nHost: skein\r\nX-Long: " +
			strings.Repeat("x", 2<<20) + "\r\nConnection: close\r\n\r\n")},
	}
}

// upload asks for a link for six bytes, but for what is spoiled.
func upload(spoil func(*service.CreateUploadLocationRequest)) *service.CreateUploadLocationRequest {
	sum := md5.Sum([]byte("skein\n")) //nolint:gosec // see above
	q := &service.CreateUploadLocationRequest{Project: project, Domain: domain, Filename: "a.txt", ContentMd5: sum[:]}
	spoil(q)
	return q
}

// links are requests for links that are not given.
func (r *rig) links(*testing.T) []row {
	bad := func(name, says string, spoil func(*service.CreateUploadLocationRequest)) row {
		return row{"upload link: " + name, invalid, says, call(r.data.CreateUploadLocation, upload(spoil))}
	}
	lasting := func(d time.Duration) func(*service.CreateUploadLocationRequest) {
		return func(q *service.CreateUploadLocationRequest) { q.ExpiresIn = durationpb.New(d) }
	}
	download := func(name, want, says, uri string) row {
		return row{"download link: " + name, want, says, call(r.data.CreateDownloadLocation, &service.CreateDownloadLocationRequest{NativeUrl: uri})}
	}
	data := func(name, want, says, url string) row {
		return row{"data: " + name, want, says, call(r.data.GetData, &service.GetDataRequest{FlyteUrl: url})}
	}
	return []row{
		bad("no project", "^project: must be set", func(q *service.CreateUploadLocationRequest) { q.Project = "" }),
		bad("a project that is unknown", `^project: "nobody" does not exist`, func(q *service.CreateUploadLocationRequest) { q.Project = "nobody" }),
		bad("a domain that is unknown", `^domain: "moon" is not`, func(q *service.CreateUploadLocationRequest) { q.Domain = "moon" }),
		bad("neither digest nor folder", "^content_md5: must be set, or filename_root", func(q *service.CreateUploadLocationRequest) { q.ContentMd5 = nil }),
		bad("a digest of SHA-256", "^content_md5: holds 32 bytes; an md5 has 16", func(q *service.CreateUploadLocationRequest) {
			sum := sha256.Sum256(nil)
			q.ContentMd5 = sum[:]
		}),
		bad("a life that is negative", "^expires_in: must be above 0", lasting(-time.Second)),
		bad("a life of a year", "^expires_in: .*at most", lasting(365*24*time.Hour)),
		bad("a file name that climbs", `^filename: .*\.\.`, func(q *service.CreateUploadLocationRequest) { q.Filename = "../../etc/passwd" }),
		bad("a file name of 201 bytes", "^filename: .*at most 200", func(q *service.CreateUploadLocationRequest) { q.Filename = strings.Repeat("x", 201) }),
		bad("a file name with a NUL", "^filename: .*control", func(q *service.CreateUploadLocationRequest) { q.Filename = "a\x00b" }),
		bad("a folder that climbs", "^filename_root: ", func(q *service.CreateUploadLocationRequest) { q.FilenameRoot = "a/../../b" }),
		download("nothing", invalid, "^native_url: must be set", ""),
		download("another store", notFound, "does not lie in the control plane's object store", "s3://elsewhere/key"),
		download("a file of the machine", notFound, "does not lie in the control plane's object store", "/etc/passwd"),
		download("a path that climbs", invalid, `\.\.`, r.Store+"/../keys/operator.token"),
		download("an object that is unknown", notFound, "ghost", r.Store+"/ghost"),
		{"download link: no deck", invalid, "^artifact_type: must be ARTIFACT_TYPE_DECK", call(r.data.CreateDownloadLink, &service.CreateDownloadLinkRequest{})},
		{"download link: a node that is unknown", notFound, "ghost", call(r.data.CreateDownloadLink, &service.CreateDownloadLinkRequest{
			ArtifactType: service.ArtifactType_ARTIFACT_TYPE_DECK, Source: &service.CreateDownloadLinkRequest_NodeExecutionId{NodeExecutionId: nodeID(ended, "ghost")}})},
		data("an address that is none", invalid, "^flyte_url: .*flyte://v1/project", "https://example.org"),
		data("a node that is unknown", notFound, "ghost", "flyte://v1/"+project+"/"+domain+"/"+ended+"/ghost/i"),
		data("an output that is unknown", notFound, `no variable "o9"`, "flyte://v1/"+project+"/"+domain+"/"+ended+"/a/o/o9"),
		data("an attempt that is unknown", notFound, "no attempt 7", "flyte://v1/"+project+"/"+domain+"/"+ended+"/a/7/i"),
	}
}

// objects are uses of links that the links do not allow. One link has been used
// and one has expired before anything is counted.
func (r *rig) objects(t *testing.T) []row {
	link := func(spoil func(*service.CreateUploadLocationRequest)) string {
		a, err := r.data.CreateUploadLocation(t.Context(), upload(spoil))
		must(t, err)
		return a.GetSignedUrl()
	}
	sum := md5.Sum([]byte("skein\n")) //nolint:gosec // see above
	digest := base64.StdEncoding.EncodeToString(sum[:])
	good := link(func(*service.CreateUploadLocationRequest) {})
	free := func(name string) string { // a link for any content
		return link(func(q *service.CreateUploadLocationRequest) {
			q.ContentMd5, q.FilenameRoot, q.Filename = nil, "bad", name
		})
	}
	used := free("used.txt")
	if a, err := web(http.MethodPut, used, "", "first")(t.Context()); err != nil || a.how != "HTTP 200" {
		t.Fatalf("a good upload: %v %v", a, err)
	}
	short := link(func(q *service.CreateUploadLocationRequest) { q.ExpiresIn = durationpb.New(time.Second) })
	begun := time.Now()
	put := func(name, want, says, url, body string, headers ...string) row {
		return row{"upload: " + name, want, says, web(http.MethodPut, url, "", body, headers...)}
	}
	return []row{
		put("no digest", "HTTP 400", "Content-MD5: must be", good, "skein\n"),
		put("another digest", "HTTP 400", "Content-MD5: must be", good, "skein\n", "Content-MD5", "AAAAAAAAAAAAAAAAAAAAAA=="),
		put("other content", "HTTP 400", "Content-MD5: the body's md5 is", good, "other\n", "Content-MD5", digest),
		put("a tampered signature", "HTTP 403", "signature is not valid", strings.Replace(good, "sig=", "sig=AAAA", 1), "skein\n", "Content-MD5", digest),
		put("no signature", "HTTP 403", "signed with another key", strings.Split(good, "?")[0], "skein\n"),
		put("another object", "HTTP 403", "signature is not valid", strings.Replace(good, "a.txt", "b.txt", 1), "skein\n", "Content-MD5", digest),
		put("a later expiry", "HTTP 403", "signature is not valid", strings.Replace(good, "exp=1", "exp=9", 1), "skein\n", "Content-MD5", digest),
		put("a path that climbs", "HTTP 400", `filename: .*\.\.`, r.web+dataproxy.Prefix+"uploads/%2e%2e/%2e%2e/keys?"+strings.Split(good, "?")[1], "x"),
		put("other content of a used link", "HTTP 409", "exists", used, "second"),
		{"upload: an expired link", "HTTP 403", "expired at", func(ctx context.Context) (answer, error) {
			time.Sleep(time.Until(begun.Add(1100 * time.Millisecond))) // what it waits for is the clock itself
			return web(http.MethodPut, short, "", "skein\n", "Content-MD5", digest)(ctx)
		}},
		{"upload: a body of 6 GiB", "HTTP 413", "larger than 5368709120 bytes", r.raw("PUT " + strings.TrimPrefix(free("large"), r.web) +
			" HTTP/1.1\r\nHost: skein\r\nContent-Length: 6442450944\r\nConnection: close\r\n\r\n")},
		{"upload: reading by a link for writing", "HTTP 403", "signature is not valid for this method", web(http.MethodGet, good, "", "")},
		{"upload: a method that is none", "HTTP 405", "", web(http.MethodPost, good, "", "")},
		{"download: an object that is unknown", "HTTP 403", "signed with another key", web(http.MethodGet, r.web+dataproxy.Prefix+"ghost", "", "")},
	}
}
