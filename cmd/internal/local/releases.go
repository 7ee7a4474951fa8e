package local

import (
	"cmp"
	"context"
	"path/filepath"

	"github.com/skein-project/skein/api/fault"
)

// program is where a part's program lies.
func (f *Federation) program(part, name string) string {
	return filepath.Join(cmp.Or(f.opts.Bins[part], f.opts.BinDir), name)
}

// Use lets a part, "admin-0" or "c1/propeller", run the program of another
// folder from its next start on. Its configuration stays: it holds only what
// differs from the defaults, so that other releases read it too. Errors are
// NotFound.
func (f *Federation) Use(part, bin string) error {
	for _, r := range f.Replicas {
		if r.Name == part {
			r.Process.Use(filepath.Join(bin, "skein-admin"))
			return nil
		}
	}
	for _, p := range f.Planes {
		if p.Name+"/propeller" == part {
			p.Propeller.Use(filepath.Join(bin, "skein-propeller"))
			return nil
		}
	}
	return fault.E(fault.NotFound, "there is no part %q that has programs of its own", part)
}

// StartReplica starts one more replica. It knows its own addresses only, and
// takes no part in the election until it is added: skein admin replicas add. The
// front door does not know it, and no link leads through anything.
func (f *Federation) StartReplica(ctx context.Context) (*Replica, error) {
	c, err := f.replicaConfig(len(f.Replicas))
	if err != nil {
		return nil, err
	}
	r, err := f.startReplica(ctx, c, "livez") // it is ready when it knows of a leader
	if err == nil {
		f.Replicas = append(f.Replicas, r)
	}
	return r, err
}

// Raft is the replica's own address for the election.
func (r *Replica) Raft() string { return r.config.Raft.Listen }
