package localtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/skein-project/skein/deploy/local/proc"
)

// With starts a database and a cluster, runs the command with both named in its environment, stops them, and returns
// the command's exit code. Servers that the environment names already are used as they are. An interrupt is left to
// the command, which gets it too.
func With(ctx context.Context, command ...string) (code int, err error) {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	var own servers
	defer func() { err = errors.Join(err, own.stop()) }()
	env := os.Environ()
	if os.Getenv(DatabaseVariable) == "" {
		url, err := own.startDatabase(ctx, progress)
		if err != nil {
			return 1, err
		}
		env = append(env, DatabaseVariable+"="+url)
	}
	if os.Getenv(KubeconfigVariable) == "" {
		c, err := own.startCluster(ctx, progress)
		if err != nil {
			return 1, err
		}
		env = append(env, KubeconfigVariable+"="+c.Kubeconfig)
	}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Env = os.Stdin, os.Stdout, os.Stderr, env
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.SysProcAttr = proc.Attributes(nil)
	cmd.SysProcAttr.Setpgid = false // it keeps the terminal
	if err := proc.Start(cmd); err != nil {
		return 1, fmt.Errorf("run %s: %w", command[0], err)
	}
	var exit *exec.ExitError
	if err = cmd.Wait(); errors.As(err, &exit) {
		return max(exit.ExitCode(), 1), nil
	}
	if err != nil {
		return 1, fmt.Errorf("run %s: %w", command[0], err)
	}
	return 0, nil
}
