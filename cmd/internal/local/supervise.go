package local

import (
	"context"
	"time"

	"github.com/skein-project/skein/deploy/local/proc"
)

// Pauses before a process that ended by itself is started again.
const (
	firstPause   = time.Second
	longestPause = 15 * time.Second
)

// supervise starts again what ends without having been asked to, as kubelet or
// systemd do in production: a database whose log found no room ends, and so
// does etcd. It tries until the start succeeds or everything is stopped.
func (f *Federation) supervise() {
	ctx, stop := context.WithCancel(context.Background())
	f.unsupervise = stop
	f.group.OnExit(func(p *proc.Process, why error) { f.bringBack(ctx, p, why) })
}

func (f *Federation) bringBack(ctx context.Context, p *proc.Process, why error) {
	for wait := firstPause; ; wait = min(2*wait, longestPause) {
		f.opts.Log.Warn("a process ended by itself and is started again", "name", p.Name(), "error", why, "after", wait)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		if p.Alive() { // somebody else has started it
			return
		}
		if why = p.Restart(ctx); why == nil {
			f.opts.Log.Info("the process runs again", "name", p.Name())
			return
		}
	}
}
