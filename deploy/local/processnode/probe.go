package processnode

import (
	"context"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/skein-project/skein/deploy/local/processnode/child"
	"github.com/skein-project/skein/deploy/local/processnode/container"
)

// probePeriod is how long to wait between two tries of a start-up probe. It is
// shorter than a kubelet's shortest, a second: nothing is gained by waiting.
const probePeriod = 50 * time.Millisecond

// probe waits until the container's start-up probe succeeds, or its process
// ends. Only exec probes are run; a container with another, or without one,
// has started as soon as it runs. A failure threshold is not kept: a container
// that never becomes ready keeps its pod waiting until its deadline.
func (r *run) probe(ctx context.Context, c *corev1.Container, folder container.Folder, process *child.Process) {
	if c.StartupProbe == nil || c.StartupProbe.Exec == nil {
		return
	}
	asked := c.DeepCopy()
	asked.Command, asked.Args = c.StartupProbe.Exec.Command, nil
	cmd, err := r.agent.build.Build(ctx, r.pod, asked, folder, r.volumes)
	if err != nil || cmd.Missing != "" {
		return // what cannot be asked is taken for started; its log says nothing of it
	}
	for !succeeds(cmd, process) {
		select {
		case <-process.Done():
			return
		case <-r.hard:
			return
		case <-ctx.Done():
			return
		case <-time.After(probePeriod):
		}
	}
}

// succeeds runs the probe once.
func succeeds(cmd container.Command, of *child.Process) bool {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return false
	}
	defer null.Close()
	// The folder is the container's: naming it here would end the container's
	// processes with the probe.
	p, err := child.Start(child.Spec{Argv: cmd.Argv, Env: cmd.Env, Dir: cmd.Dir, Output: null})
	if err != nil {
		return false
	}
	select {
	case <-p.Done():
		return p.Exit() == 0
	case <-of.Done():
		p.Kill()
		<-p.Done()
		return false
	}
}
