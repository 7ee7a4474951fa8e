package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Ops serves /metrics, /livez, /readyz and Go's profiles below /debug/pprof. It speaks plain HTTP and belongs on
// loopback or on a network that only operators reach.
type Ops struct {
	registry prometheus.Gatherers
	mu       sync.Mutex
	checks   map[string]func(context.Context) error
	pages    map[string]http.HandlerFunc
}

// NewOps makes an Ops without readiness checks: it is ready at once.
func NewOps(registry prometheus.Gatherer) *Ops {
	return &Ops{registry: prometheus.Gatherers{registry}, checks: map[string]func(context.Context) error{}, pages: map[string]http.HandlerFunc{}}
}

// Gather adds metrics of a registry that is not ours. Call it before Run.
func (o *Ops) Gather(g prometheus.Gatherer) { o.registry = append(o.registry, g) }

// Handle adds a page, by a pattern of http.ServeMux. Call it before Run.
func (o *Ops) Handle(pattern string, page http.HandlerFunc) { o.pages[pattern] = page }

// Check adds a named readiness check: nil means ready.
func (o *Ops) Check(name string, check func(context.Context) error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.checks[name] = check
}

// Ready reports every check that does not hold, or nil.
func (o *Ops) Ready(ctx context.Context) error {
	o.mu.Lock()
	names := make([]string, 0, len(o.checks))
	for name := range o.checks {
		names = append(names, name)
	}
	checks := o.checks
	o.mu.Unlock()
	sort.Strings(names)
	var failed []string
	for _, name := range names {
		if err := checks[name](ctx); err != nil {
			failed = append(failed, name+": "+err.Error())
		}
	}
	if len(failed) > 0 {
		return errors.New(strings.Join(failed, "\n"))
	}
	return nil
}

// Run serves on the address until ctx ends.
func (o *Ops) Run(ctx context.Context, address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("ops.listen: %w", err)
	}
	server := &http.Server{Handler: o.handler(), ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve ops: %w", err)
	}
	return nil
}

func (o *Ops) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(o.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		if err := o.Ready(ctx); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	for pattern, page := range o.pages {
		mux.HandleFunc(pattern, page)
	}
	return mux
}
