package faults

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/skein-project/skein/api/flyteidl/core"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/cmd/internal/local"
)

// storeSlow is how long a slow store takes for each request.
const storeSlow = 2 * time.Second

// front stands before the S3 server, and is as slow as a test wants.
type front struct {
	server http.Server
	proxy  *httputil.ReverseProxy
	delay  atomic.Int64           // of each request
	hang   atomic.Pointer[string] // requests whose path holds this are not answered; nil: none
	hung   atomic.Int64
}

// open is for local.Options.StoreFront.
func (f *front) open(endpoint string) (string, error) {
	to, err := url.Parse(endpoint)
	if err != nil {
		return "", err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	f.proxy = &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host // it is signed
	}}
	f.server.Handler = f
	f.server.ReadHeaderTimeout = 5 * time.Second
	go func() { _ = f.server.Serve(listener) }() // until it is closed
	return "http://" + listener.Addr().String(), nil
}

// ServeHTTP answers late, or not at all.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body) // else the end of the connection would not be noticed
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	for hang := f.hang.Load(); hang != nil && strings.Contains(r.URL.Path, *hang); hang = f.hang.Load() {
		if pause(r.Context(), every) != nil {
			f.hung.Add(1) // the client gave it up
			return
		}
	}
	if pause(r.Context(), time.Duration(f.delay.Load())) == nil {
		f.proxy.ServeHTTP(w, r)
	}
}

// TestSlowStore: an object store that takes its time, or does not answer, holds
// up who needs it; leases are renewed, others go on, clients are answered, and
// nothing is lost. (I1, I19, I40.)
func TestSlowStore(t *testing.T) {
	f := &front{}
	t.Cleanup(func() { f.server.Close() })
	r := newRig(t, local.Options{Lease: lease, ObjectStore: local.S3Store, StoreFront: f.open, Nodes: local.SimulatedNodes,
		Clusters: []local.Cluster{{Name: "solo"}}})
	for _, c := range []struct {
		name string
		run  func(*testing.T, *rig, *front)
	}{
		{"each request takes two seconds", storeIsSlow},
		{"some executions get no answer", storeHangsForSome},
		{"nobody gets an answer", storeHangs},
	} {
		if !t.Run(c.name, func(t *testing.T) {
			healthy := r.watchHealth(t, "solo")
			c.run(t, r, f)
			healthy(t)
		}) {
			t.Fatal("the federation may not be whole after this")
		}
	}
}

// watchHealth asks for the cluster's health until the check that it gives is
// called: it was Healthy all the time, by leases that were renewed.
func (r *rig) watchHealth(t *testing.T, cluster string) func(*testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var group errgroup.Group
	group.Go(func() error {
		for pause(ctx, 250*time.Millisecond) == nil {
			c, err := r.clusters.GetCluster(ctx, &skeinv1.GetClusterRequest{Name: cluster})
			if err == nil && c.GetCluster().GetHealth() != "Healthy" {
				return fmt.Errorf("cluster %s was %s meanwhile", cluster, c.GetCluster().GetHealth())
			}
		}
		return nil
	})
	return func(t *testing.T) {
		cancel()
		if err := group.Wait(); err != nil {
			t.Error(err)
		}
	}
}

// launchMany launches chains of that prefix, each of which is to be accepted
// soon: their inputs are inline.
func (r *rig) launchMany(t *testing.T, prefix string, n int) []string {
	t.Helper()
	var names []string
	begin := time.Now()
	for i := range n {
		names = append(names, fmt.Sprintf("%s-%d", prefix, i))
		must(t, r.launch(t.Context(), "faults.chain", names[i], 0))
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("%d launches with inline inputs took %s", n, took)
	}
	return names
}

func storeIsSlow(t *testing.T, r *rig, f *front) {
	f.delay.Store(int64(storeSlow))
	defer f.delay.Store(0)
	names := r.launchMany(t, "slow", 5)
	begin := time.Now()
	large := largeLaunch("slow-large")
	_, err := r.admin.CreateExecution(t.Context(), large)
	if took := time.Since(begin); err != nil || took < storeSlow || took > 15*time.Second {
		t.Errorf("a create with large inputs took %s: %v", took, err)
	}
	eventually(t, 2*time.Minute, r.allIn(append(names, large.Name), core.WorkflowExecution_SUCCEEDED))
	t.Logf("%d executions took %s with %s for each request", len(names)+1, time.Since(begin).Round(100*time.Millisecond), storeSlow)
}

func storeHangsForSome(t *testing.T, r *rig, f *front) {
	held := "held"
	f.hang.Store(&held)
	before := f.hung.Load()
	waiting := r.launchMany(t, held, 30)
	eventually(t, time.Minute, func(context.Context) error {
		if n := f.hung.Load() - before; n < 5 {
			return fmt.Errorf("%d requests have hung", n)
		}
		return nil
	})
	begin := time.Now()
	eventually(t, 90*time.Second, r.allIn(r.launchMany(t, "fine", 5), core.WorkflowExecution_SUCCEEDED))
	t.Logf("5 executions took %s while 30 waited for the store", time.Since(begin).Round(100*time.Millisecond))
	f.hang.Store(nil)
	eventually(t, 2*time.Minute, r.allIn(waiting, core.WorkflowExecution_SUCCEEDED))
}

func storeHangs(t *testing.T, r *rig, f *front) {
	everything := ""
	f.hang.Store(&everything)
	names := r.launchMany(t, "hung", 3)
	begin := time.Now()
	large := largeLaunch("hung-large")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := r.admin.CreateExecution(ctx, large)
	took := time.Since(begin)
	if status.Code(err) != codes.Unavailable || took > 40*time.Second {
		t.Errorf("a create with large inputs answered %v after %s, want UNAVAILABLE soon", err, took)
	}
	t.Logf("a create with large inputs was answered %s after %s", status.Code(err), took.Round(100*time.Millisecond))
	must(t, pause(t.Context(), time.Until(begin.Add(2*lease)))) // no lease lasts so long
	f.hang.Store(nil)
	err = retry(t.Context(), func(ctx context.Context) error {
		_, err := r.admin.CreateExecution(ctx, large)
		return err
	})
	if c := status.Code(err); c != codes.OK && c != codes.AlreadyExists {
		t.Errorf("the repeat answered %v", err)
	}
	eventually(t, 2*time.Minute, r.allIn(append(names, large.Name), core.WorkflowExecution_SUCCEEDED))
}
