package scenario

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/chaos/script"
	"github.com/skein-project/skein/cmd/internal/config"
	"github.com/skein-project/skein/deploy/local/smalldisk"
)

// machines is script.Machines.
type machines struct{ *World }

// Sizes of small disks: what a federation writes in minutes, with room.
const (
	databaseDisk = 256 << 20
	replicaDisk  = 8 << 20
	clusterDisk  = 320 << 20
)

// mountDisks puts small disks below the parts of a federation that is to start.
func (w *World) mountDisks(s script.Setup, state string) error {
	switch {
	case s.Disks == "":
		return nil
	case s.Disks != "small":
		return fault.E(fault.Invalid, `disks: want "small", got %q`, s.Disks)
	}
	sizes := map[string]int64{"database": databaseDisk}
	for i := range s.Replicas {
		sizes[fmt.Sprintf("admin-%d", i)] = replicaDisk
	}
	for i := range s.Clusters {
		sizes[fmt.Sprintf("c%d/kubernetes", i+1)] = clusterDisk
	}
	for _, part := range slices.Sorted(maps.Keys(sizes)) {
		d, err := smalldisk.Mount(filepath.Join(state, part), sizes[part])
		if err != nil {
			return fmt.Errorf("disks=small: %w", err)
		}
		w.disks[part] = d
	}
	return nil
}

// unmountDisks takes them away.
func (w *World) unmountDisks() error {
	var errs []error
	for _, d := range w.disks {
		errs = append(errs, d.Unmount())
	}
	clear(w.disks)
	return errors.Join(errs...)
}

// Fill takes a disk's room. The leader's is filled, whoever leads later.
func (m machines) Fill(ctx context.Context, part string) error {
	d, err := m.disk(ctx, part)
	if err != nil {
		return err
	}
	return d.Fill()
}

// Clear gives a disk's room back, or that of all.
func (m machines) Clear(ctx context.Context, part string) error {
	if part != "*" {
		d, err := m.disk(ctx, part)
		if err != nil {
			return err
		}
		return d.Empty()
	}
	var errs []error
	for _, d := range m.disks {
		errs = append(errs, d.Empty())
	}
	return errors.Join(errs...)
}

func (m machines) disk(ctx context.Context, part string) (*smalldisk.Disk, error) {
	if part == "leader" {
		leader, err := processes(m).leader(ctx)
		if err != nil {
			return nil, err
		}
		part = leader.Name()
	}
	if cluster, ok := strings.CutSuffix(part, "/etcd"); ok {
		part = cluster + "/kubernetes"
	}
	if d := m.disks[part]; d != nil {
		return d, nil
	}
	return nil, fault.E(fault.Invalid, "there is no small disk below %q: want disks=small, and one of %v", part, slices.Sorted(maps.Keys(m.disks)))
}

// Readmit does what the propeller's own log says: a new token by the command
// line, into its configuration, and a new start.
func (m machines) Readmit(ctx context.Context, cluster string) error {
	plane, err := planes(m).find(cluster)
	if err != nil {
		return err
	}
	out, err := m.command(ctx, "cluster", "register", cluster)
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	_, token := joinLine(out)
	if token == "" {
		return fault.E(fault.Invalid, "skein cluster register printed no line to run: %s", out)
	}
	file, c := filepath.Join(plane.Folder(), "skein-propeller.yaml"), config.DefaultPropeller()
	if err := config.Load(&c, config.Source{File: file}); err != nil {
		return err
	}
	c.JoinToken = config.Secret(token)
	if err := config.Save(file, &c); err != nil {
		return err
	}
	return plane.Propeller.Restart(ctx)
}

// Log reads a process's log.
func (m machines) Log(ctx context.Context, process string) (string, error) {
	p, err := processes(m).find(ctx, process)
	if err != nil {
		return "", err
	}
	raw, err := os.ReadFile(p.LogPath())
	return string(raw), err
}
