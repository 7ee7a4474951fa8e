package election

import (
	"context"
	"io"
	"log/slog"

	"github.com/hashicorp/go-hclog"
)

// hclogger gives raft a logger that writes to ours.
func hclogger(log *slog.Logger) hclog.Logger {
	out := hclog.NewInterceptLogger(&hclog.LoggerOptions{Name: "raft", Output: io.Discard, Level: hclog.Debug})
	out.RegisterSink(sink{log})
	return out
}

type sink struct{ log *slog.Logger }

// Accept takes one line of raft's. Only warnings and errors keep their level:
// what raft calls information is nothing an operator wants in a calm hour.
func (s sink) Accept(name string, level hclog.Level, msg string, args ...any) {
	at := slog.LevelDebug
	switch level {
	case hclog.Warn:
		at = slog.LevelWarn
	case hclog.Error:
		at = slog.LevelError
	}
	ctx := context.Background()
	if !s.log.Enabled(ctx, at) {
		return
	}
	if len(args)%2 != 0 {
		args = append(args, nil)
	}
	attrs := []any{slog.String("component", name)}
	for i := 0; i+1 < len(args); i += 2 {
		key, ok := args[i].(string)
		if !ok {
			continue
		}
		attrs = append(attrs, slog.Any(key, args[i+1]))
	}
	s.log.Log(ctx, at, msg, attrs...)
}
