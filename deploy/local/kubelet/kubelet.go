// Package kubelet runs a real node beside a deploy/local/cluster: the real kubelet with containerd and runc, and the
// controller manager and scheduler that a real cluster has. Pods there are real containers of real images, with real
// logs, exit codes, OOM kills, evictions and node losses.
//
// It needs root on Linux, and Debian's containerd, runc and CNI plugins, which it installs where that is allowed; the
// programs of Kubernetes come from deploy/local/tools. It is for end-to-end tests and the demo, never for production.
// The caller must be in a network namespace of deploy/local/namespace: kubelet takes no address of 127.0.0.0/8, and the
// machine's network is left alone. Pods have a network of their own behind it; they reach each other and the node's
// address, and neither 127.0.0.1 of the API server nor the world.
//
// Invariant: with the node's end, and with that of this process, all of it has gone: processes, containers, shims and
// mounts are in a process and a mount namespace that end with us, and control groups are removed at once, by a watcher
// if we were killed. No sysctl of the machine is written.
package kubelet

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/skein-project/skein/deploy/local/cluster"
	"github.com/skein-project/skein/deploy/local/image"
	"github.com/skein-project/skein/deploy/local/namespace"
	"github.com/skein-project/skein/deploy/local/proc"
	"github.com/skein-project/skein/deploy/local/tools"
)

// Options say what to start.
type Options struct {
	// Cluster must have been started with cluster.Options.Controllers.
	Cluster *cluster.Cluster
	// Name is the node's; unique in the group.
	Name string
	// Dir keeps the node: images, containers, logs of pods. A later start finds it.
	Dir string
	// Number, from 1 to 250, tells nodes in one network namespace apart: the node's address is 10.88.<number>.1, and
	// its pods have addresses in 10.89.<number>.0/24.
	Number int
	// Of says how many nodes share the machine's memory; zero means one.
	Of int
	// Port and HealthPort are kubelet's. They must be free in the network namespace.
	Port, HealthPort int
	Tools            tools.NodeTools
	// Images are imported before the node is ready; nothing else can run on it.
	Images []*image.Image
	// Silence is how long a node may be silent until it counts as lost; zero means Kubernetes' own 40 s.
	Silence time.Duration
	// Log is told of what takes long; nil is silent.
	Log func(string)
}

// Node is a running node.
type Node struct {
	Name string
	// Address is the node's, which kubelet and containers with hostNetwork have.
	Address netip.Addr
	// The parts, for stopping, killing and starting again.
	Containerd, Kubelet, ControllerManager, Scheduler *proc.Process

	options Options
	runtime programs
	space   *namespace.Space
	groups  *groups
}

// Start starts the node in the group and waits until it is ready and pods can be made in the namespace default. On an
// error nothing of it runs.
func Start(ctx context.Context, group *proc.Group, o Options) (*Node, error) {
	if o.Log == nil {
		o.Log = func(string) {}
	}
	if o.Of == 0 {
		o.Of = 1
	}
	if o.Silence == 0 {
		o.Silence = 40 * time.Second
	}
	n := &Node{Name: o.Name, options: o}
	if err := n.start(ctx, group); err != nil {
		return nil, errors.Join(fmt.Errorf("start node %s: %w", o.Name, err), n.Stop(context.WithoutCancel(ctx)))
	}
	return n, nil
}

func (n *Node) start(ctx context.Context, group *proc.Group) (err error) {
	o := n.options
	if !namespace.Inside() {
		return errors.New("not in a network namespace of ours: kubelet takes no address of 127.0.0.0/8, and the machine's own network is left alone")
	}
	if o.Number < 1 || o.Number > 250 {
		return fmt.Errorf("number %d: want 1 to 250", o.Number)
	}
	if n.runtime, err = ensure(ctx, o.Log); err != nil {
		return err
	}
	n.Address = netip.AddrFrom4([4]byte{10, 88, byte(o.Number), 1})
	if err := namespace.AddAddress(fmt.Sprintf("lo:%d", o.Number), n.Address); err != nil {
		return err
	}
	if n.groups, err = makeGroups(o.Dir, group.State()); err != nil {
		return fmt.Errorf("make control groups: %w", err)
	}
	if n.space, err = namespace.Open(namespace.Options{Processes: true}); err != nil {
		return err
	}
	if err := n.prepare(); err != nil {
		return err
	}
	return n.run(ctx, group)
}

// prepare makes the node's folders, and hides from kubelet the three sysctls of the machine that it would write: it
// finds the values that it wants, and checks nothing else.
func (n *Node) prepare() error {
	if err := os.RemoveAll(n.path("containerd-state")); err != nil { // of a life that was cut short; its mounts are gone
		return err
	}
	for _, dir := range []string{"", "containerd", "containerd-state", "cni", "kubelet", "logs", "pods", "plugins", "sysctl", "pki"} {
		if err := os.MkdirAll(n.path(dir), 0o755); err != nil {
			return err
		}
	}
	return n.space.Do(func() error {
		// Sockets of shims, networks of pods, links to logs and plugins of devices have fixed places there.
		for _, dir := range []string{"/run", "/var/log", "/var/lib"} {
			if strings.HasPrefix(n.options.Dir, dir+"/") {
				return fmt.Errorf("folder %s: the node must not be kept below %s, which is hidden from it", n.options.Dir, dir)
			}
			if err := hide(dir); err != nil {
				return fmt.Errorf("hide the machine's %s: %w", dir, err)
			}
		}
		for name, value := range map[string]string{"vm/overcommit_memory": "1", "kernel/panic": "10", "kernel/panic_on_oops": "1"} {
			file := n.path(filepath.Join("sysctl", filepath.Base(name)))
			if err := os.WriteFile(file, []byte(value+"\n"), 0o644); err != nil {
				return err
			}
			if err := bind(file, filepath.Join("/proc/sys", name)); err != nil {
				return fmt.Errorf("hide the machine's %s: %w", name, err)
			}
		}
		return nil
	})
}

// run starts the parts in order, each ready before the next.
func (n *Node) run(ctx context.Context, group *proc.Group) (err error) {
	runtime, err := n.containerdSpec()
	if err != nil {
		return err
	}
	if n.Containerd, err = group.Start(ctx, runtime); err != nil {
		return err
	}
	if err := n.importImages(ctx); err != nil {
		return err
	}
	controllers, scheduler, node, err := n.kubernetesSpecs(ctx)
	if err != nil {
		return err
	}
	if n.ControllerManager, err = group.Start(ctx, controllers); err != nil {
		return err
	}
	if n.Scheduler, err = group.Start(ctx, scheduler); err != nil {
		return err
	}
	n.Kubelet, err = group.Start(ctx, node)
	return err
}

// Stop ends the node with all that runs on it. Its folder is kept. It may be called again.
func (n *Node) Stop(ctx context.Context) error {
	var problems []error
	for _, p := range []*proc.Process{n.Kubelet, n.Scheduler, n.ControllerManager, n.Containerd} {
		if p != nil {
			problems = append(problems, p.Stop(ctx))
		}
	}
	if n.space != nil {
		problems = append(problems, n.space.Close())
	}
	if n.groups != nil {
		problems = append(problems, n.groups.remove())
	}
	n.space, n.groups = nil, nil
	return errors.Join(problems...)
}

// ControlGroups are the folders of the node's control groups, while it runs.
func (n *Node) ControlGroups() []string {
	if n.groups == nil {
		return nil
	}
	return slices.Clone(n.groups.dirs)
}

func (n *Node) path(name string) string { return filepath.Join(n.options.Dir, name) }
