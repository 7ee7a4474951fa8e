package processnode

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skein-project/skein/deploy/local/processnode/child"
	"github.com/skein-project/skein/deploy/local/processnode/container"
	"github.com/skein-project/skein/deploy/local/processnode/logs"
)

// The exit codes of a shell for a program that it cannot run.
const (
	exitNotExecutable = 126
	exitNotFound      = 127
)

// attempt runs the container once and gives its exit code, or the refusal if it
// could not be set up. When it returns nothing of the container is alive.
func (r *run) attempt(ctx context.Context, c *corev1.Container, onStart func()) (int, *container.Error) {
	if ctx.Err() != nil {
		return 0, &container.Error{Reason: "ContainerCreating"}
	}
	folder := r.folder(c)
	if err := folder.Make(); err != nil {
		return 0, container.AsError(&container.Error{Reason: container.ReasonCreate, Message: err.Error()})
	}
	cmd, err := r.agent.build.Build(ctx, r.pod, c, folder, r.volumes)
	if err != nil {
		return 0, container.AsError(err)
	}
	log, err := logs.New(folder.Log(), fmt.Sprintf("[skein process node] image %q is ignored and nothing is isolated\n", c.Image))
	if err != nil {
		return 0, &container.Error{Reason: container.ReasonCreate, Message: err.Error()}
	}
	defer log.Close()
	began := metav1.Now()
	process, exit, err := start(cmd, folder, log)
	if err != nil {
		fmt.Fprintf(log, "[skein process node] %v\n", err)
	} else {
		r.setState(c.Name, func(s *corev1.ContainerStatus) {
			s.ContainerID = fmt.Sprintf("process://%d-%d", process.Record.Pid, process.Record.Start)
			s.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: began}}
		})
		r.probe(ctx, c, folder, process)
		onStart()
		exit = r.await(ctx, process)
		log.Drain()
	}
	r.setState(c.Name, func(s *corev1.ContainerStatus) {
		s.State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			ExitCode: int32(exit), Reason: outcome(exit), Message: message(c, folder, log, exit),
			StartedAt: began, FinishedAt: metav1.Now(), ContainerID: s.ContainerID,
		}}
	})
	return exit, nil
}

// start starts the program; the error comes with the exit code that stands for it.
func start(cmd container.Command, folder container.Folder, log *logs.File) (*child.Process, int, error) {
	if cmd.Missing != "" {
		return nil, exitNotFound, fmt.Errorf("exec: %q: not found in the node's programs, the virtual environment or the system's PATH", cmd.Missing)
	}
	output, err := log.Pipe()
	if err != nil {
		return nil, exitNotExecutable, err
	}
	defer output.Close()
	process, err := child.Start(child.Spec{
		Argv: cmd.Argv, Env: cmd.Env, Dir: cmd.Dir, Output: output, Folders: []string{folder.Path, folder.ShortTmp},
	})
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR):
		return nil, exitNotFound, err
	case err != nil:
		return nil, exitNotExecutable, err
	}
	if err := record(folder, process.Record); err != nil {
		fmt.Fprintf(log, "[skein process node] %v\n", err)
	}
	return process, 0, nil
}

// await waits for the end: TERM when the context ends, KILL when the pod's time
// is up.
func (r *run) await(ctx context.Context, process *child.Process) int {
	select {
	case <-process.Done():
		return process.Exit()
	case <-r.hard:
	case <-ctx.Done():
		process.Term()
		select {
		case <-process.Done():
			return process.Exit()
		case <-r.hard:
		}
	}
	process.Kill()
	<-process.Done()
	return process.Exit()
}

func outcome(exit int) string {
	if exit == 0 {
		return "Completed"
	}
	return "Error"
}

// The kubelet's limits for termination messages.
const (
	maxMessage      = 4096
	maxMessageLog   = 2048
	maxMessageLines = 80
)

// message is the termination message: the file's content, or, where the policy
// says so and the container failed, the end of its log without our first line.
func message(c *corev1.Container, folder container.Folder, log *logs.File, exit int) string {
	raw, err := os.ReadFile(folder.Termination())
	if err == nil && len(raw) > 0 {
		return clean(raw[:min(len(raw), maxMessage)])
	}
	if exit == 0 || c.TerminationMessagePolicy != corev1.TerminationMessageFallbackToLogsOnError {
		return ""
	}
	return clean(log.Tail(maxMessageLog, maxMessageLines))
}

// clean drops what is not UTF-8, for instance a character that was cut.
func clean(raw []byte) string {
	out := make([]byte, 0, len(raw))
	for len(raw) > 0 {
		r, size := utf8.DecodeRune(raw)
		if r != utf8.RuneError || size > 1 {
			out = append(out, raw[:size]...)
		}
		raw = raw[size:]
	}
	return string(out)
}
