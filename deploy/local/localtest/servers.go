package localtest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/skein-project/skein/deploy/local/cluster"
	"github.com/skein-project/skein/deploy/local/database"
	"github.com/skein-project/skein/deploy/local/ports"
	"github.com/skein-project/skein/deploy/local/proc"
	"github.com/skein-project/skein/deploy/local/state"
	"github.com/skein-project/skein/deploy/local/tools"
)

const (
	folderPattern = "skein-localtest-*"
	stopTimeout   = 30 * time.Second
	// youth protects a folder whose owner has not locked it yet from being taken for an abandoned one.
	youth = time.Minute
)

// servers are the servers of one process and their folder. Both come into being at the first use.
type servers struct {
	mu    sync.Mutex
	state *state.Folder
	group *proc.Group
}

// folder returns the state folder of this process.
func (s *servers) folder() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != nil {
		return s.state.Path, nil
	}
	sweep()
	dir, err := os.MkdirTemp("", folderPattern)
	if err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		return "", err
	}
	if s.state, err = state.Open(dir); err != nil {
		return "", err
	}
	s.group = proc.NewGroup(s.state.Path, slog.New(slog.DiscardHandler))
	return s.state.Path, nil
}

func (s *servers) startDatabase(ctx context.Context, log func(string)) (string, error) {
	dir, err := s.folder()
	if err != nil {
		return "", err
	}
	free, err := ports.Free(1)
	if err != nil {
		return "", err
	}
	o := database.Options{Dir: filepath.Join(dir, "database"), Port: free[0], NoSync: true, Log: log}
	d, err := database.Start(ctx, s.group, o)
	if err != nil {
		return "", err
	}
	return d.URL, nil
}

func (s *servers) startCluster(ctx context.Context, log func(string)) (*cluster.Cluster, error) {
	dir, err := s.folder()
	if err != nil {
		return nil, err
	}
	built, err := tools.Ensure(ctx, log)
	if err != nil {
		return nil, err
	}
	free, err := ports.Free(3)
	if err != nil {
		return nil, err
	}
	return cluster.Start(ctx, s.group, cluster.Options{
		Name: "test", Dir: filepath.Join(dir, "test"), Tools: built,
		EtcdPort: free[0], EtcdPeerPort: free[1], APIPort: free[2],
	})
}

// stop ends all that was started, sees that nothing is left, and removes the folder.
func (s *servers) stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	err := errors.Join(s.group.Stop(ctx), noneLeft(s.state.Path))
	return errors.Join(err, os.RemoveAll(s.state.Path), s.state.Close())
}

// noneLeft waits a moment for the children of stopped servers and then names those that stay.
func noneLeft(state string) error {
	deadline := time.Now().Add(5 * time.Second)
	for {
		left, err := proc.Leftovers(state)
		if err != nil {
			return err
		}
		if len(left) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("processes are left over: %q", left)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// sweep removes the folders of killed test processes: nobody holds their locks.
func sweep() {
	found, _ := filepath.Glob(filepath.Join(os.TempDir(), folderPattern))
	for _, dir := range found {
		info, err := os.Stat(dir)
		if err != nil || time.Since(info.ModTime()) < youth {
			continue
		}
		if abandoned, err := state.Open(dir); err == nil {
			_ = os.RemoveAll(dir)
			_ = abandoned.Close()
		}
	}
}
