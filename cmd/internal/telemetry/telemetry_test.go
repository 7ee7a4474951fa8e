package telemetry

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestOps(t *testing.T) {
	ops := NewOps(Registry())
	extra := prometheus.NewRegistry()
	extra.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "skein_test_total", Help: "A test's."}))
	ops.Gather(extra)
	ops.Handle("GET /page", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "a page") })
	var down error
	ops.Check("database", func(context.Context) error { return down })
	ops.Check("leader", func(context.Context) error { return nil })
	server := httptest.NewServer(ops.handler())
	defer server.Close()
	for _, c := range []struct {
		path string
		down error
		code int
		want string
	}{
		{"/livez", errors.New("away"), 200, "ok"},
		{"/readyz", nil, 200, "ok"},
		{"/readyz", errors.New("away"), 503, "database: away"},
		{"/metrics", nil, 200, "skein_test_total 0"},
		{"/metrics", nil, 200, "go_goroutines"},
		{"/page", nil, 200, "a page"},
	} {
		down = c.down
		answer, err := http.Get(server.URL + c.path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || answer.StatusCode != c.code || !strings.Contains(string(body), c.want) {
			t.Errorf("%s answered %d with %.80q, want %d with %q", c.path, answer.StatusCode, body, c.code, c.want)
		}
	}
}

func TestLogger(t *testing.T) {
	if _, err := Logger(io.Discard, "loud", "text"); err == nil {
		t.Error("an unknown level was taken")
	}
	var out strings.Builder
	log, err := Logger(&out, "warn", "json")
	if err != nil {
		t.Fatal(err)
	}
	log.Info("not this")
	log.Warn("this", "cluster", "eu-1")
	if got := out.String(); strings.Contains(got, "not this") || !strings.Contains(got, `"cluster":"eu-1"`) {
		t.Errorf("logged %q", got)
	}
}
