package local

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/cmd/internal/client"
	"github.com/skein-project/skein/cmd/internal/config"
	"github.com/skein-project/skein/deploy/local/database"
	"github.com/skein-project/skein/deploy/local/forward"
	"github.com/skein-project/skein/deploy/local/machine"
	"github.com/skein-project/skein/deploy/local/objectstore"
	"github.com/skein-project/skein/deploy/local/ports"
	"github.com/skein-project/skein/deploy/local/proc"
	"github.com/skein-project/skein/deploy/local/state"
	"github.com/skein-project/skein/deploy/local/tools"
)

// stopTime bounds the orderly stop of everything; then comes SIGKILL.
const stopTime = 20 * time.Second

// Federation is a running federation.
type Federation struct {
	opts   Options
	folder *state.Folder
	book   *ports.Book
	group  *proc.Group
	tools  tools.Tools
	real   realNodes

	Database *database.Database
	Replicas []*Replica
	Planes   []*Plane
	Objects  *objectstore.Server // nil where objects lie in a folder
	Store    string              // root of the object store: a folder, or s3://bucket/prefix
	Config   string              // path of the CLI's configuration
	Flyte    string              // path of the configuration for Flyte's own clients
	HTTP     string              // address of the REST gateway and of uploads

	store       config.Store       // as everything is told where objects lie
	unsupervise context.CancelFunc // nil without supervision

	doors []*forward.Forwarder
	ready *readiness
}

// Start starts everything in order and returns when clusters can be given
// work. On an error, what was started is stopped again; if the context ended
// and all could be stopped, the error is the context's cause.
func Start(ctx context.Context, opts Options) (*Federation, error) {
	opts.defaults()
	if err := opts.check(); err != nil {
		return nil, err
	}
	folder, err := state.Open(opts.State)
	if err != nil {
		return nil, err
	}
	f := &Federation{opts: opts, folder: folder, group: proc.NewGroup(folder.Path, opts.Log)}
	if opts.Supervise {
		f.supervise()
	}
	if err := f.start(ctx); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx) // what was under way says nothing more
		}
		if stop := f.Stop(); stop != nil {
			err = errors.Join(err, stop)
		}
		return nil, err
	}
	return f, nil
}

func (f *Federation) start(ctx context.Context) error {
	var err error
	if f.book, err = ports.Open(filepath.Join(f.folder.Path, "ports")); err != nil {
		return err
	}
	// What is wrong here is told before anything is started.
	if err := machine.Loopback(ctx); err != nil {
		return err
	}
	for _, p := range []struct {
		name  string
		fixed int
	}{{"grpc", f.opts.GRPCPort}, {"http", f.opts.HTTPPort}, {"api", f.opts.APIPort}} {
		if _, err := f.port(p.name, p.fixed); err != nil {
			return err
		}
	}
	if err := f.preflight(ctx); err != nil {
		return err
	}
	if err := database.Ensure(ctx, f.opts.Progress); err != nil {
		return err
	}
	f.progress("Kubernetes tools")
	if f.tools, err = tools.Ensure(ctx, f.opts.Progress); err != nil {
		return err
	}
	if err := f.startStore(ctx); err != nil {
		return err
	}
	if err := f.prepareNodes(ctx); err != nil {
		return err
	}
	// API servers take longest to come up and need nothing: they start beside
	// the control plane.
	group, startCtx := errgroup.WithContext(ctx)
	group.Go(func() error { return f.startServers(startCtx) })
	group.Go(func() error { return f.startControl(startCtx) })
	if err := group.Wait(); err != nil {
		return err
	}
	if err := f.openDoors(); err != nil {
		return err
	}
	f.progress("propellers join and nodes start")
	return f.startPlanes(ctx)
}

func (f *Federation) startControl(ctx context.Context) error {
	f.progress("database")
	dir, err := f.folder.Sub("database", false)
	if err != nil {
		return err
	}
	port, err := f.book.Port("database")
	if err != nil {
		return err
	}
	f.Database, err = database.Start(ctx, f.group, database.Options{Dir: dir, Port: port, NoSync: f.opts.NoSync, Log: f.opts.Progress})
	if err != nil {
		return err
	}
	f.progress(fmt.Sprintf("control plane of %d replicas", f.opts.Replicas))
	return f.startReplicas(ctx)
}

// Stop ends everything in the reverse order of its start. It may be called
// after a partial start, and again.
func (f *Federation) Stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	if f.unsupervise != nil {
		f.unsupervise()
	}
	var problems []error
	for _, d := range f.doors {
		problems = append(problems, d.Close())
	}
	if f.ready != nil {
		f.ready.close()
	}
	problems = append(problems, f.group.Stop(ctx), f.stopNodes(ctx), f.folder.Close())
	f.doors, f.ready = nil, nil
	return errors.Join(problems...)
}

// State is the folder that everything is in.
func (f *Federation) State() string { return f.folder.Path }

// Group is the set of processes, for tests that kill and stall them.
func (f *Federation) Group() *proc.Group { return f.group }

// Client is the CLI's configuration for this federation.
func (f *Federation) Client() (client.Config, error) { return client.Read(f.Config, true) }

func (f *Federation) progress(what string) { f.opts.Progress(what) }

// port is the remembered port of that name, or the fixed one if it was given.
func (f *Federation) port(name string, fixed int) (int, error) {
	if fixed == 0 {
		return f.book.Port(name)
	}
	if fixed < 1 || fixed > 65535 {
		return 0, fault.Field("--"+name+"-port", "want a port from 1 to 65535, got %d", fixed)
	}
	if err := ports.Check(fixed); err != nil {
		return 0, fmt.Errorf("--%s-port: %w", name, err)
	}
	return fixed, f.book.Set(name, fixed)
}

// readiness asks replicas whether they are ready, so that the front door need
// not.
type readiness struct {
	mu    sync.Mutex
	ready map[string]bool // by backend address
	stop  context.CancelFunc
	done  sync.WaitGroup
}

func (r *readiness) is(backend string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ready[backend]
}

func (r *readiness) set(backends []string, ready bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range backends {
		r.ready[b] = ready
	}
}

func (r *readiness) close() {
	r.stop()
	r.done.Wait()
}
