package local

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/skein-project/skein/cmd/internal/config"
	"github.com/skein-project/skein/deploy/local/proc"
)

// Replica is one process of the control plane.
type Replica struct {
	*proc.Process
	Name   string
	config config.Admin
}

func (f *Federation) startReplicas(ctx context.Context) error {
	configs, err := f.replicaConfigs()
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	f.Replicas = make([]*Replica, len(configs))
	for i, c := range configs {
		group.Go(func() error {
			r, err := f.startReplica(ctx, c, "readyz")
			f.Replicas[i] = r
			return err
		})
	}
	return group.Wait()
}

// replicaConfigs fixes every replica's ports before the first one starts.
func (f *Federation) replicaConfigs() ([]config.Admin, error) {
	if _, err := f.folder.Sub("keys", true); err != nil {
		return nil, err
	}
	var err error
	configs := make([]config.Admin, f.opts.Replicas)
	var peers []config.Peer
	for i := range configs {
		if configs[i], err = f.replicaConfig(i); err != nil {
			return nil, err
		}
		configs[i].Raft.Bootstrap = i == 0
		peers = append(peers, configs[i].Peers...)
	}
	for i := range configs {
		configs[i].Peers = peers
	}
	return configs, f.linkReplicas(configs)
}

// replicaConfig is the configuration of the replica of that number, which knows
// of no other one.
func (f *Federation) replicaConfig(i int) (config.Admin, error) {
	c := config.DefaultAdmin()
	name := fmt.Sprintf("admin-%d", i)
	dir, err := f.folder.Sub(name, true)
	if err != nil {
		return c, err
	}
	httpPort, err := f.port("http", f.opts.HTTPPort)
	if err != nil {
		return c, err
	}
	keys := filepath.Join(f.folder.Path, "keys")
	c.Replica, c.State, c.ObjectStore = name, dir, f.store
	c.Database.URL = config.Secret(f.Database.URL)
	c.Keys = config.Keys{CACert: filepath.Join(keys, "ca.crt"), CAKey: filepath.Join(keys, "ca.key"),
		UploadHMAC: filepath.Join(keys, "upload.hmac"), OperatorToken: filepath.Join(keys, "operator.token")}
	c.Flyte.PublicURL = fmt.Sprintf("http://127.0.0.1:%d", httpPort)
	c.Tasks = config.Tasks{DefaultCPU: "100m", DefaultMemory: "512Mi", LimitCPU: "4", LimitMemory: "1Gi"}
	if f.opts.Nodes == KubeletNodes { // it is held to: with a tenth of a core, Python starts in half a minute
		c.Tasks.DefaultCPU = "500m"
	}
	if f.opts.Lease != 0 {
		c.Scheduler.Lease = config.Duration{Duration: f.opts.Lease}
	}
	if f.opts.Suspect != 0 {
		c.Scheduler.Suspect = config.Duration{Duration: f.opts.Suspect}
	}
	for key, address := range map[string]*string{"grpc": &c.Flyte.GRPC, "http": &c.Flyte.HTTP,
		"federation": &c.Federation.Listen, "ops": &c.Ops.Listen, "raft": &c.Raft.Listen} {
		port, err := f.book.Port(name + "." + key)
		if err != nil {
			return c, err
		}
		*address = fmt.Sprintf("127.0.0.1:%d", port)
	}
	c.Peers = []config.Peer{{ID: name, Raft: c.Raft.Listen, RPC: c.Federation.Listen}}
	return c, nil
}

// startReplica starts a replica, and waits until its probe of that name passes.
func (f *Federation) startReplica(ctx context.Context, c config.Admin, probe string) (*Replica, error) {
	path := filepath.Join(c.State, "skein-admin.yaml")
	defaults := config.DefaultAdmin()
	if err := config.SaveChanges(path, &c, &defaults); err != nil {
		return nil, err
	}
	process, err := f.group.Start(ctx, proc.Spec{
		Name: c.Replica, Path: f.program(c.Replica, "skein-admin"), Args: []string{"run", "--config", path},
		Env: f.withKeys(f.environment()), Log: f.log(c.Replica), Grace: 10 * time.Second,
		Ready: func(ctx context.Context) error { return get(ctx, "http://"+c.Ops.Listen+"/"+probe, nil) }, ReadyTimeout: 60 * time.Second,
	})
	return &Replica{Process: process, Name: c.Replica, config: c}, err
}

// FlyteGRPC is the replica's own address of Flyte's API, behind the front door.
func (r *Replica) FlyteGRPC() string { return r.config.Flyte.GRPC }

// Federation is the replica's own address for members, replicas and operators.
func (r *Replica) Federation() string { return r.config.Federation.Listen }

// Ops is the replica's address for health, readiness and metrics.
func (r *Replica) Ops() string { return r.config.Ops.Listen }

// Ready reports whether the replica says that it is ready.
func (r *Replica) Ready(ctx context.Context) bool {
	return get(ctx, "http://"+r.config.Ops.Listen+"/readyz", nil) == nil
}

// Leader is the replica that leads and has begun its term, or nil.
func (f *Federation) Leader(ctx context.Context) *Replica {
	for _, r := range f.Replicas {
		var answer struct {
			Leading bool `json:"leading"`
		}
		if get(ctx, "http://"+r.config.Ops.Listen+"/leader", &answer) == nil && answer.Leading {
			return r
		}
	}
	return nil
}

// get fetches a URL of the operations port; into may be nil.
func get(ctx context.Context, url string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", url, answer.Status)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(answer.Body).Decode(into)
}
