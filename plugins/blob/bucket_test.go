package blob_test

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // the wire contract's digest
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/deploy/local/objectstore"
	"github.com/skein-project/skein/deploy/local/objectstore/objectstoretest"
	"github.com/skein-project/skein/plugins/blob"
	"github.com/skein-project/skein/plugins/blob/blobtest"
)

// server starts an S3 server whose keys this process has.
func server(t *testing.T) *objectstore.Server {
	t.Helper()
	s := objectstoretest.Start(t, "one", "two")
	objectstoretest.Credentials(t, s)
	return s
}

func on(s *objectstore.Server, root string) blob.Config {
	return blob.Config{Root: root, S3: blob.S3{Endpoint: s.Endpoint, PathStyle: true}}
}

func TestBuckets(t *testing.T) {
	s := server(t)
	n := 0
	for name, root := range map[string]string{"whole": "s3://one", "prefix": "s3://two/a/pre fix"} {
		t.Run(name, func(t *testing.T) {
			blobtest.Run(t, func(t *testing.T) blobtest.Store {
				n++
				return open(t, on(s, fmt.Sprintf("%s/%d", root, n)))
			})
		})
	}
}

// TestPrefixesAreKeptApart lists and reads of one root what another has.
func TestPrefixesAreKeptApart(t *testing.T) {
	s := server(t)
	a, b := open(t, on(s, "s3://one/a")), open(t, on(s, "s3://one/ab/"))
	if b.Root() != "s3://one/ab" {
		t.Errorf("root = %s, want no slash at its end", b.Root())
	}
	for _, store := range []*blob.Store{a, b} {
		if err := store.Write(t.Context(), store.Root()+"/x", []byte(store.Root())); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := a.List(t.Context(), a.Root()); err != nil || !slices.Equal(got, []string{"s3://one/a/x"}) {
		t.Errorf("list = %q, %v", got, err)
	}
	if _, err := a.Read(t.Context(), "s3://one/ab/x"); !fault.Is(err, fault.Invalid) {
		t.Errorf("read of another's: %v, want Invalid", err)
	}
}

// TestManyObjects lists more than one page.
func TestManyObjects(t *testing.T) {
	s := open(t, on(server(t), "s3://one/many"))
	const n = 1003
	for i := range n {
		if err := s.Write(t.Context(), fmt.Sprintf("%s/%04d", s.Root(), i), nil); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := s.List(t.Context(), s.Root()); err != nil || len(got) != n {
		t.Errorf("listed %d, %v, want %d", len(got), err, n)
	}
}

// TestLargeObject is sent in parts.
func TestLargeObject(t *testing.T) {
	s := open(t, on(server(t), "s3://one/large"))
	data := bytes.Repeat([]byte("0123456789abcdef"), 40<<20/16)
	for _, once := range []bool{false, true} {
		uri := fmt.Sprintf("%s/%v", s.Root(), once)
		w, err := s.Create(t.Context(), uri, once)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(w, bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		r, err := s.Reader(t.Context(), uri)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err = errors.Join(err, r.Close()); err != nil || !bytes.Equal(got, data) {
			t.Errorf("read %d bytes, %v", len(got), err)
		}
	}
}

func TestServersRefusalsAreTold(t *testing.T) {
	s := server(t)
	missing := open(t, on(s, "s3://none/x"))
	if err := missing.Write(t.Context(), missing.Root()+"/x", nil); !fault.Is(err, fault.Precondition) || !strings.Contains(err.Error(), "bucket does not exist") {
		t.Errorf("no such bucket: %v", err)
	}
	t.Setenv("AWS_SECRET_ACCESS_KEY", "guess-3141592653")
	other := open(t, on(s, "s3://one/x"))
	for name, err := range map[string]error{
		"read":  second(other.Read(t.Context(), other.Root()+"/x")),
		"write": other.Write(t.Context(), other.Root()+"/x", nil),
		"list":  second(other.List(t.Context(), other.Root())),
		"head":  second(other.Exists(t.Context(), other.Root()+"/x")),
	} {
		if !fault.Is(err, fault.Forbidden) {
			t.Errorf("%s with a wrong key: %v, want Forbidden", name, err)
		}
		if err != nil && (strings.Contains(err.Error(), "guess-31415") || strings.Contains(err.Error(), s.SecretKey)) {
			t.Errorf("%s tells a secret: %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// TestSilentServersAreUnavailable asks servers that are gone, that take calls
// and say nothing, and that stop in the middle.
func TestSilentServersAreUnavailable(t *testing.T) {
	objectstoretest.Credentials(t, &objectstore.Server{AccessKey: "a", SecretKey: "b"})
	closed := listen(t, func(c net.Conn) { c.Close() })
	half := "HTTP/1.1 200 OK\r\nContent-Length: 100\r\nETag: \"x\"\r\nLast-Modified: Mon, 02 Jan 2006 15:04:05 GMT\r\n\r\nhalf"
	for name, endpoint := range map[string]string{
		"gone":   "http://127.0.0.1:1",
		"closes": closed,
		"silent": listen(t, func(net.Conn) {}),
		"stalls": listen(t, func(c net.Conn) { _, _ = io.WriteString(c, half) }),
		"cuts":   listen(t, func(c net.Conn) { _, _ = io.WriteString(c, half); c.Close() }),
		"busy": listen(t, func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 503 Slow\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, blob.Config{Root: "s3://one/x", S3: blob.S3{Endpoint: endpoint, PathStyle: true, Timeout: 200 * time.Millisecond}})
			for op, call := range map[string]func(context.Context) error{
				"read":  func(ctx context.Context) error { return second(s.Read(ctx, "s3://one/x/y")) },
				"write": func(ctx context.Context) error { return s.Write(ctx, "s3://one/x/y", make([]byte, 1<<20)) },
				"list":  func(ctx context.Context) error { return second(s.List(ctx, "s3://one/x/y")) },
			} {
				if (name == "stalls" || name == "cuts") && op == "write" {
					continue // it has said that all is well
				}
				begin := time.Now()
				if err := call(t.Context()); !fault.Is(err, fault.Unavailable) {
					t.Errorf("%s: %v, want Unavailable", op, err)
				}
				if took := time.Since(begin); took > 10*time.Second {
					t.Errorf("%s took %s", op, took)
				}
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := second(s.Read(ctx, "s3://one/x/y")); !errors.Is(err, context.Canceled) || fault.Is(err, fault.Unavailable) {
				t.Errorf("read of a caller that has gone: %v, want its own cancellation", err)
			}
		})
	}
}

// listen answers every connection, once a request has come, and keeps it open.
func listen(t *testing.T, answer func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if _, err := c.Read(make([]byte, 1<<16)); err == nil {
					answer(c)
				}
				_, _ = io.Copy(io.Discard, c)
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

// TestLargeObjectsMayTakeLong reads an object that comes slowly, but comes.
func TestLargeObjectsMayTakeLong(t *testing.T) {
	objectstoretest.Credentials(t, &objectstore.Server{AccessKey: "a", SecretKey: "b"})
	const timeout = 300 * time.Millisecond
	s := open(t, blob.Config{Root: "s3://one", S3: blob.S3{PathStyle: true, Timeout: timeout, Endpoint: listen(t, func(c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nLast-Modified: Mon, 02 Jan 2006 15:04:05 GMT\r\n\r\n")
		tick := time.NewTicker(timeout / 3)
		defer tick.Stop()
		for range 10 {
			<-tick.C
			_, _ = c.Write([]byte("x"))
		}
	})}})
	if got, err := s.Read(t.Context(), "s3://one/y"); err != nil || string(got) != "xxxxxxxxxx" {
		t.Errorf("read %q, %v", got, err)
	}
}

// TestLargeUploadsMayTakeLong writes to a server that reads slowly, but reads,
// and answers in the end.
func TestLargeUploadsMayTakeLong(t *testing.T) {
	objectstoretest.Credentials(t, &objectstore.Server{AccessKey: "a", SecretKey: "b"})
	const timeout, size = time.Second, 12 << 20
	s := open(t, blob.Config{Root: "s3://one", S3: blob.S3{PathStyle: true, Timeout: timeout, Endpoint: listen(t, func(c net.Conn) {
		_ = c.(*net.TCPConn).SetReadBuffer(64 << 10) // so that the writer notices at once
		tick := time.NewTicker(timeout / 5)
		defer tick.Stop()
		for range 12 {
			<-tick.C
			_, _ = io.CopyN(io.Discard, c, 512<<10)
		}
		_, _ = io.CopyN(io.Discard, c, size-(12*512+64)<<10) // what the request's first bytes came with is read already
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nETag: \"x\"\r\nConnection: close\r\n\r\n")
	})}})
	begin := time.Now()
	if err := s.Write(t.Context(), "s3://one/y", make([]byte, size)); err != nil {
		t.Errorf("after %s: %v", time.Since(begin), err)
	}
	if took := time.Since(begin); took < 2*timeout {
		t.Errorf("it took %s, which proves nothing", took)
	}
}

func TestOpenRefusesBuckets(t *testing.T) {
	objectstoretest.Credentials(t, &objectstore.Server{AccessKey: "a", SecretKey: "b"})
	for root, c := range map[string]struct {
		s3   blob.S3
		kind fault.Kind
		says string
	}{
		"s3://":            {blob.S3{Region: "r"}, fault.Invalid, "s3://bucket/prefix"},
		"s3:///prefix":     {blob.S3{Region: "r"}, fault.Invalid, "s3://bucket/prefix"},
		"s3://b/../c":      {blob.S3{Region: "r"}, fault.Invalid, "s3://bucket/prefix"},
		"s3://b?x=y":       {blob.S3{Region: "r"}, fault.Invalid, "s3://bucket/prefix"},
		"s3://no-region":   {blob.S3{}, fault.Invalid, "region"},
		"s3://no-endpoint": {blob.S3{Endpoint: "localhost:9000"}, fault.Invalid, "endpoint"},
		"gs://bucket":      {blob.S3{}, fault.Unsupported, "s3://"},
		"azblob://bucket":  {blob.S3{}, fault.Unsupported, "s3://"},
	} {
		if _, err := blob.Open(t.Context(), blob.Config{Root: root, S3: c.s3}); !fault.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("open %q: %v, want %v that says %q", root, err, c.kind, c.says)
		}
	}
}

func TestSignedLinks(t *testing.T) {
	s := open(t, on(server(t), "s3://one/signed"))
	for _, name := range blobtest.Names {
		uri, body := s.Root()+"/"+name, []byte("content of "+name)
		sum := md5.Sum(body) //nolint:gosec // see above
		link, headers, err := s.SignPut(t.Context(), uri, sum[:], map[string]string{"note": "kept"}, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if headers["Content-MD5"] == "" || headers["x-amz-meta-note"] != "kept" || len(headers) != 2 {
			t.Errorf("headers = %v", headers)
		}
		if code := send(t, http.MethodPut, link, headers, []byte("other content")); code != http.StatusBadRequest {
			t.Errorf("%s: other content: %d, want 400", name, code)
		}
		if code := send(t, http.MethodPut, link, nil, body); code != http.StatusForbidden {
			t.Errorf("%s: without the headers: %d, want 403", name, code)
		}
		if code := send(t, http.MethodPut, link, headers, body); code != http.StatusOK {
			t.Errorf("%s: %d, want 200", name, code)
		}
		if code := send(t, http.MethodGet, link, nil, nil); code != http.StatusForbidden {
			t.Errorf("%s: read by a link to write: %d, want 403", name, code)
		}
		if got, err := s.Read(t.Context(), uri); err != nil || !bytes.Equal(got, body) {
			t.Errorf("read %q, %v", got, err)
		}
		if _, have, err := s.Attributes(t.Context(), uri); err != nil || !bytes.Equal(have, sum[:]) {
			t.Errorf("%s: md5 = %x, %v", name, have, err)
		}
		if link, err = s.SignGet(t.Context(), uri, time.Minute); err != nil {
			t.Fatal(err)
		}
		if code := send(t, http.MethodGet, link, nil, nil); code != http.StatusOK {
			t.Errorf("%s: read: %d, want 200", name, code)
		}
		if code := send(t, http.MethodGet, strings.Replace(link, "X-Amz-Expires=60", "X-Amz-Expires=6000", 1), nil, nil); code != http.StatusForbidden {
			t.Errorf("%s: a prolonged link: %d, want 403", name, code)
		}
	}
	if _, _, err := s.SignPut(t.Context(), "s3://two/x", nil, nil, time.Minute); !fault.Is(err, fault.Invalid) {
		t.Errorf("a link outside of the root: %v, want Invalid", err)
	}
}

// TestLinksNameThePublicEndpoint, while we reach the server by another.
func TestLinksNameThePublicEndpoint(t *testing.T) {
	cfg := on(server(t), "s3://one/p")
	cfg.S3.PublicEndpoint = "https://store.example.com"
	s := open(t, cfg)
	link, err := s.SignGet(t.Context(), s.Root()+"/x", time.Minute)
	u, perr := url.Parse(link)
	if err = errors.Join(err, perr); err != nil || u.Host != "store.example.com" || u.Path != "/one/p/x" {
		t.Errorf("link = %s, %v", link, err)
	}
	if err := s.Write(t.Context(), s.Root()+"/x", nil); err != nil {
		t.Error(err)
	}
}

func send(t *testing.T, method, link string, headers map[string]string, body []byte) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, link, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range headers {
		r.Header.Set(k, v)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, answer.Body) // only the status matters
	return answer.StatusCode
}

func TestReach(t *testing.T) {
	s := server(t)
	r, err := blob.OpenReach(t.Context(), on(s, "s3://one/root"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, uri := range []string{"s3://one/root/x", "s3://one/elsewhere/x", "s3://two/deep/x"} {
		if err := r.Write(t.Context(), uri, []byte(uri)); err != nil {
			t.Errorf("write %s: %v", uri, err)
		}
		if got, err := r.Read(t.Context(), uri); err != nil || string(got) != uri {
			t.Errorf("read %s: %q, %v", uri, got, err)
		}
		folder := strings.TrimSuffix(uri, "/x")
		if got, err := r.List(t.Context(), folder); err != nil || !slices.Equal(got, []string{uri}) {
			t.Errorf("list %s: %q, %v", folder, got, err)
		}
	}
	for uri, kind := range map[string]fault.Kind{"s3://": fault.Invalid, "s3://none/x": fault.Precondition, "/etc/passwd": fault.Invalid, "gs://b/x": fault.Invalid} {
		if err := r.Write(t.Context(), uri, nil); !fault.Is(err, kind) {
			t.Errorf("write %q: %v, want %v", uri, err, kind)
		}
	}
	folder, err := blob.OpenReach(t.Context(), on(s, t.TempDir()+"/store"))
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	for _, uri := range []string{"/etc/passwd", "s3://one/root/x"} {
		if _, err := folder.Read(t.Context(), uri); !fault.Is(err, fault.Invalid) {
			t.Errorf("a folder reaches %s: %v, want Invalid", uri, err)
		}
	}
}
