package local

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/deploy/local/database"
	"github.com/skein-project/skein/deploy/local/image"
	"github.com/skein-project/skein/deploy/local/kubelet"
	"github.com/skein-project/skein/deploy/local/namespace"
	"github.com/skein-project/skein/deploy/local/tools"
)

// Warm builds, installs and finds all that Start with kubelet nodes needs from
// the world, which cannot be had in a network namespace.
func Warm(ctx context.Context, log func(string)) error {
	if _, err := tools.Ensure(ctx, log); err != nil {
		return err
	}
	if _, err := tools.EnsureNode(ctx, log); err != nil {
		return err
	}
	if err := kubelet.Ensure(ctx, log); err != nil {
		return err
	}
	return database.Ensure(ctx, log)
}

// realNodes is what all kubelet nodes of a federation share.
type realNodes struct {
	tools  tools.NodeTools
	images []*image.Image
}

// prepareNodes packs the images that tasks run in, once for all clusters.
func (f *Federation) prepareNodes(ctx context.Context) error {
	if f.opts.Nodes != KubeletNodes {
		return nil
	}
	if !namespace.Inside() {
		return fault.E(fault.Precondition, "kubelet nodes need a network namespace of their own, with their clients in it: start through `skein demo --nodes %s`", KubeletNodes)
	}
	var err error
	if f.real.tools, err = tools.EnsureNode(ctx, f.opts.Progress); err != nil {
		return err
	}
	root, err := tools.CacheRoot()
	if err != nil {
		return err
	}
	cache := filepath.Join(root, "image")
	f.progress("container images")
	pause, err := image.Pause(ctx, cache)
	if err != nil {
		return err
	}
	o := image.TaskOptions{Cache: cache, Work: filepath.Join(f.folder.Path, "image"), Programs: []string{filepath.Join(f.opts.BinDir, "skein-propeller")}}
	if f.opts.VenvBin != "" {
		o.Venv = filepath.Dir(f.opts.VenvBin)
	}
	task, err := image.Task(ctx, o)
	f.real.images = []*image.Image{pause, task}
	return err
}

// startKubelet starts the cluster's real node, whose number is the cluster's.
func (f *Federation) startKubelet(ctx context.Context, p *Plane) error {
	o := kubelet.Options{
		Cluster: p.Server, Name: p.Name + "-node", Dir: filepath.Join(p.dir, "node"), Tools: f.real.tools,
		Images: f.real.images, Of: len(f.Planes), Log: f.opts.Progress,
	}
	for i, other := range f.Planes {
		if other == p {
			o.Number = i + 1
		}
	}
	var err error
	for name, port := range map[string]*int{"kubelet": &o.Port, "kubelet-health": &o.HealthPort} {
		if *port, err = f.book.Port(p.Name + "." + name); err != nil {
			return err
		}
	}
	if p.Real, err = kubelet.Start(ctx, f.group, o); err != nil {
		return err
	}
	p.Node = p.Real.Kubelet
	return nil
}

// stopNodes stops real nodes, with all that runs on them.
func (f *Federation) stopNodes(ctx context.Context) error {
	var problems []error
	for _, p := range f.Planes {
		if p == nil || p.Real == nil {
			continue
		}
		if err := p.Real.Stop(ctx); err != nil {
			problems = append(problems, fmt.Errorf("stop the node of %s: %w", p.Name, err))
		}
	}
	return errors.Join(problems...)
}
