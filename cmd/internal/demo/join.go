package demo

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/skein-project/skein/api/fault"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/cmd/internal/client"
	"github.com/skein-project/skein/deploy/local/state"
)

// joinPatience bounds the question whether a demo runs.
const joinPatience = 5 * time.Second

// running reports whether a demo holds the state folder and can be given work.
// The error says who holds the folder if what holds it does not answer.
func running(ctx context.Context, folder string) (bool, error) {
	held, err := state.Open(folder)
	if err == nil {
		return false, held.Close()
	}
	if !fault.Is(err, fault.Conflict) {
		return false, err
	}
	if answerErr := answers(ctx, configOf(folder)); answerErr != nil {
		return false, fault.E(fault.Conflict, "%v; and it is no demo that could be joined: %v", err, answerErr)
	}
	return true, nil
}

// configOf and flyteOf are where a demo on this state writes its configurations.
func configOf(folder string) string { return filepath.Join(folder, "config.yaml") }
func flyteOf(folder string) string  { return filepath.Join(folder, "flyte-config.yaml") }

// join runs the author's steps on the demo that another process runs.
func join(ctx context.Context, out io.Writer, f flags) error {
	folder, err := filepath.EvalSymlinks(f.state)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "a demo runs on %s: joining it\n", folder)
	a, err := (&demo{out: out, state: folder, path: configOf(folder)}).author(f.venv, flyteOf(folder))
	if err != nil {
		return err
	}
	if err := a.play(ctx, a.steps()); ctx.Err() != nil && err != nil {
		return errInterrupted
	} else if err != nil {
		return err
	}
	a.where(out)
	return nil
}

// answers asks for healthy clusters.
func answers(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, joinPatience)
	defer cancel()
	config, err := client.Read(path, true)
	if err != nil {
		return err
	}
	conn, err := config.DialSkein()
	if err != nil {
		return err
	}
	defer conn.Close()
	list, err := skeinv1.NewClusterServiceClient(conn).ListClusters(ctx, &skeinv1.ListClustersRequest{})
	if err != nil {
		return err
	}
	var unfit []string
	for _, c := range list.GetClusters() {
		if c.GetHealth() != "Healthy" {
			unfit = append(unfit, c.GetName())
		}
	}
	if len(unfit) > 0 || len(list.GetClusters()) == 0 {
		return fault.E(fault.Unavailable, "clusters are not healthy: %s", strings.Join(unfit, ", "))
	}
	return nil
}
