package scenario

import (
	"context"
	"fmt"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/cmd/internal/local"
)

// parts is script.Parts.
type parts struct{ *World }

// Restart stops a process in order, and starts it again.
func (p parts) Restart(ctx context.Context, name string) error {
	process, err := processes(p).find(ctx, name)
	if err != nil {
		return err
	}
	return process.Restart(ctx)
}

// Upgrade restarts a part with the programs of a release.
func (p parts) Upgrade(ctx context.Context, name, release string) error {
	bin := map[string]string{"new": p.bin, "old": p.old}[release]
	if bin == "" {
		return fault.E(fault.Invalid, "there are no programs of a release %q", release)
	}
	if err := p.federation.Use(name, bin); err != nil {
		return err
	}
	return p.Restart(ctx, name)
}

// Join starts one more replica, and lets it vote.
func (p parts) Join(ctx context.Context) error {
	r, err := p.federation.StartReplica(ctx)
	if err != nil {
		return err
	}
	if said, err := p.command(ctx, "admin", "replicas", "add", r.Name, r.Raft()); err != nil {
		return fmt.Errorf("%w: %s", err, said)
	}
	return readied(ctx, r)
}

// readied waits until a replica that was added is ready: it knows of a leader.
func readied(ctx context.Context, r *local.Replica) error {
	ctx, cancel := context.WithTimeout(ctx, leaderTime)
	defer cancel()
	for !r.Ready(ctx) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w", r.Name, ctx.Err())
		case <-r.Done():
			return fmt.Errorf("%s has ended", r.Name)
		case <-time.After(100 * time.Millisecond):
		}
	}
	return nil
}

// Leave takes a replica's vote, and stops it for good.
func (p parts) Leave(ctx context.Context, name string) error {
	process, err := processes(p).find(ctx, name)
	if err != nil {
		return err
	}
	if said, err := p.command(ctx, "admin", "replicas", "remove", name); err != nil {
		return fmt.Errorf("%w: %s", err, said)
	}
	p.left[name] = true
	return process.Stop(ctx)
}
