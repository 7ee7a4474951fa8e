package scenario

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/deploy/local/proc"
)

// leaderTime bounds the search for a leader.
const leaderTime = 30 * time.Second

// processes is script.Processes.
type processes struct{ *World }

// find gives the process of a name.
func (p processes) find(ctx context.Context, name string) (*proc.Process, error) {
	switch name {
	case "database":
		return p.federation.Database.Process, nil
	case "leader":
		return p.leader(ctx)
	}
	for _, r := range p.federation.Replicas {
		if r.Name == name {
			return r.Process, nil
		}
	}
	cluster, part, _ := strings.Cut(name, "/")
	for _, c := range p.federation.Planes {
		if c.Name != cluster {
			continue
		}
		switch part {
		case "propeller":
			return c.Propeller, nil
		case "node":
			return c.Node, nil
		case "api":
			return c.Server.APIServer, nil
		case "etcd":
			return c.Server.Etcd, nil
		}
	}
	return nil, fault.E(fault.Invalid, "there is no process %q", name)
}

func (p processes) leader(ctx context.Context) (*proc.Process, error) {
	ctx, cancel := context.WithTimeout(ctx, leaderTime)
	defer cancel()
	for {
		if r := p.federation.Leader(ctx); r != nil {
			return r.Process, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("no replica leads: %w", ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Kill ends a process by SIGKILL.
func (p processes) Kill(ctx context.Context, name string) error {
	process, err := p.find(ctx, name)
	if err != nil {
		return err
	}
	return process.Kill9()
}

// Start starts a process again. "leader" is whichever replica is dead.
func (p processes) Start(ctx context.Context, name string) error {
	if name == "leader" {
		return p.Recover(ctx)
	}
	process, err := p.find(ctx, name)
	if err != nil {
		return err
	}
	return process.Restart(ctx)
}

// Stop pauses a process.
func (p processes) Stop(ctx context.Context, name string) error {
	return p.signal(ctx, name, syscall.SIGSTOP)
}

// Continue lets a paused process go on; "leader" lets all go on.
func (p processes) Continue(ctx context.Context, name string) error {
	if name == "leader" {
		return p.Recover(ctx)
	}
	return p.signal(ctx, name, syscall.SIGCONT)
}

func (p processes) signal(ctx context.Context, name string, s syscall.Signal) error {
	process, err := p.find(ctx, name)
	if err != nil {
		return err
	}
	return signal(process, s)
}

// signal reaches a process and its children. PostgreSQL serves each connection
// by one, in a process group of its own: stopped alone, it serves on.
func signal(process *proc.Process, s syscall.Signal) error {
	errs := []error{process.Signal(s)} // first: it makes no more of them
	for _, pid := range children(process.PID()) {
		if err := syscall.Kill(pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// children lists the processes whose parent is the given one.
func children(parent int) (pids []int) {
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		var state string
		var of int
		rest := raw[bytes.LastIndexByte(raw, ')')+1:] // a name may hold anything
		if _, err := fmt.Sscan(string(rest), &state, &of); err != nil || of != parent {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// Recover lets everything go on, and starts what is dead: what others need
// first, and what needs each other at once (a replica is ready when one leads).
func (p processes) Recover(ctx context.Context) error {
	waves := make([][]*proc.Process, 5)
	waves[0] = append(waves[0], p.federation.Database.Process)
	for _, r := range p.federation.Replicas {
		if !p.left[r.Name] {
			waves[3] = append(waves[3], r.Process)
		}
	}
	for _, c := range p.federation.Planes {
		waves[1] = append(waves[1], c.Server.Etcd)
		waves[2] = append(waves[2], c.Server.APIServer)
		waves[4] = append(waves[4], c.Node, c.Propeller)
	}
	var errs []error
	for _, wave := range waves {
		var group errgroup.Group
		for _, process := range wave {
			if process.Alive() {
				errs = append(errs, signal(process, syscall.SIGCONT))
				continue
			}
			group.Go(func() error { return process.Restart(ctx) })
		}
		errs = append(errs, group.Wait())
	}
	return errors.Join(errs...)
}
