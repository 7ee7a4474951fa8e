package local

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/skein-project/skein/cmd/internal/config"
	"github.com/skein-project/skein/deploy/local/proc"
)

// Prepare starts the API server and the node of one more cluster and writes its
// propeller's configuration: what an operator has who is about to join it.
func (f *Federation) Prepare(ctx context.Context, c Cluster) (*Plane, error) {
	p, err := f.startServer(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := f.startNode(ctx, p); err != nil {
		return nil, err
	}
	conf, err := f.propellerConfig(ctx, p)
	if err != nil {
		return nil, err
	}
	p.Ops = conf.Ops.Listen
	return p, config.Save(p.propellerFile(), &conf)
}

// Join starts the propeller of a cluster that Prepare has made by a line for the
// shell, in the folder that holds its configuration, and waits until it is ready;
// then it is one of Planes. The line is what "skein cluster register" prints.
func (f *Federation) Join(ctx context.Context, p *Plane, line string) error {
	var err error
	env := append(f.withKeys(f.environment()), "PATH="+f.opts.BinDir+string(os.PathListSeparator)+os.Getenv("PATH"))
	p.Propeller, err = f.group.Start(ctx, proc.Spec{
		Name: p.Name + "-propeller", Path: "/bin/sh", Args: []string{"-c", line}, Dir: p.Folder(),
		Env: env, Log: f.log(p.Name + "-propeller"), Grace: 10 * time.Second,
		Ready: func(ctx context.Context) error { return get(ctx, "http://"+p.Ops+"/readyz", nil) }, ReadyTimeout: joinTime,
	})
	if err == nil {
		f.Planes = append(f.Planes, p)
	}
	return err
}

// Folder is the propeller's own: its configuration, key and certificate.
func (p *Plane) Folder() string { return filepath.Join(p.dir, "propeller") }

func (p *Plane) propellerFile() string { return filepath.Join(p.Folder(), "skein-propeller.yaml") }
