package member

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/skein-project/skein/api/fault"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/federation/codec"
)

const (
	logReaders = 4
	logChunk   = 64 << 10
	logTimeout = 5 * time.Minute
	maxLog     = 16 << 20
)

// answersLogs answers log requests, a few at a time, each by a call of its own.
func (m *Member) answersLogs(ctx context.Context, l *link) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	room := make(chan struct{}, logReaders)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case req := <-l.logs:
			select {
			case room <- struct{}{}:
			case <-ctx.Done():
				return ctx.Err()
			}
			wg.Go(func() {
				defer func() { <-room }()
				if err := m.sendLog(ctx, l, req); err != nil && ctx.Err() == nil {
					m.log.Warn("a log was not sent", "pod", req.GetPod(), "error", err)
				}
			})
		}
	}
}

func (m *Member) sendLog(ctx context.Context, l *link, req *skeinv1.LogRequest) error {
	ctx, cancel := context.WithTimeout(ctx, logTimeout)
	defer cancel()
	wire, err := skeinv1.NewDataPlaneServiceClient(l.conn).SendLog(ctx)
	if err != nil {
		return err
	}
	if err := wire.Send(&skeinv1.SendLogRequest{Id: req.GetId()}); err != nil {
		return err
	}
	if err := m.copyLog(ctx, wire, req); err != nil {
		m.log.Debug("a log was not read to its end", "pod", req.GetPod(), "error", err)
		told := noLog(req.GetPod(), err)
		if err := wire.Send(&skeinv1.SendLogRequest{Error: told.Error(), Code: fault.Of(told).Code()}); err != nil {
			return err
		}
	}
	if _, err = wire.CloseAndRecv(); errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// noLog gives the kind that the reader is told: an API server says "not found"
// also for what its kubelet does not know, and "bad request" for a container
// that has no log yet.
func noLog(pod string, err error) error {
	switch {
	case fault.Of(err) != fault.Internal:
		return err
	case apierrors.IsNotFound(err):
		return fault.E(fault.NotFound, "pod %s, or its container, is gone from the cluster, and its log with it", pod)
	case apierrors.IsBadRequest(err):
		return fault.Wrap(fault.Precondition, err, "no log of pod %s yet", pod)
	}
	return fault.Wrap(fault.Unavailable, err, "read the log of pod %s", pod)
}

func (m *Member) copyLog(ctx context.Context, wire skeinv1.DataPlaneService_SendLogClient, req *skeinv1.LogRequest) error {
	if m.o.Kube == nil {
		return fault.E(fault.Unsupported, "this member reads no logs")
	}
	limit := req.GetLimitBytes()
	if limit <= 0 || limit > maxLog {
		limit = maxLog
	}
	o := &corev1.PodLogOptions{Container: req.GetContainer(), LimitBytes: &limit}
	if n := req.GetTailLines(); n > 0 {
		o.TailLines = &n
	}
	namespace := codec.ExecutionFrom(req.GetExecution()).Namespace()
	log, err := m.o.Kube.CoreV1().Pods(namespace).GetLogs(req.GetPod(), o).Stream(ctx)
	if err != nil {
		return err
	}
	defer log.Close()
	buf := make([]byte, logChunk)
	for r := io.LimitReader(log, limit); ; {
		n, err := r.Read(buf)
		if n > 0 {
			data := append([]byte(nil), buf[:n]...)
			if err := wire.Send(&skeinv1.SendLogRequest{Data: data}); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
