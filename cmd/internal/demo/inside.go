package demo

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/skein-project/skein/cmd/internal/local"
	"github.com/skein-project/skein/deploy/local/namespace"
)

// insideGrace is how long an interrupted demo may take to stop everything.
const insideGrace = 40 * time.Second

// inside runs this same command in a network namespace of its own, where real
// nodes can be, once everything is there that needs the network.
func inside(ctx context.Context, out io.Writer) error {
	begin := time.Now()
	say := func(text string) { fmt.Fprintf(out, "%7.2fs  %s\n", time.Since(begin).Seconds(), text) }
	if err := local.Warm(ctx, say); err != nil {
		return err
	}
	space, err := namespace.Open(namespace.Options{Network: true})
	if err != nil {
		return fmt.Errorf("kubelet nodes need a network namespace: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), self, os.Args[1:]...) // Run ends it in order
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	if err := space.Run(ctx, cmd, insideGrace); err != nil {
		_ = space.Close() // the first error is the one to tell
		return fmt.Errorf("the demo in its network namespace: %w", err)
	}
	return space.Close()
}

// enter is inside, with flytekit where that is shown: it needs the network too.
func enter(ctx context.Context, out io.Writer, f flags) error {
	if f.flytekit {
		if _, err := needPython(ctx, func(text string) { fmt.Fprintln(out, text) }); err != nil {
			return err
		}
	}
	return inside(ctx, out)
}

// wayIn tells a client how to get where the demo's addresses are.
func wayIn() string {
	if path := namespace.Entrance(); path != "" {
		return "These addresses are in a network namespace. Enter it first, as root:\n  nsenter --net=" + path + " bash\n"
	}
	return "In another terminal:\n"
}
