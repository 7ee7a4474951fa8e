package faults

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/api/flyteidl/service"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
)

const (
	awayClients = 40  // that leave, of each kind
	awayIdle    = 200 // connections on which nothing is said
	awayLeft    = 25  // what goroutines and files may differ by for other reasons
)

// clientsLeave: clients that give up, stop reading, break off and say nothing
// leave nothing behind: no goroutine, no connection, no part of an object. (I40.)
func clientsLeave(t *testing.T, r *rig) {
	r.running(t, "away-logs", 8)
	before := r.held(t)
	for _, c := range []struct {
		kind  string
		leave func(*testing.T, *rig, int)
	}{
		{"gives up a create", leaveCreate},
		{"stops reading a list", leaveList},
		{"breaks an upload off", leaveUpload},
		{"drops a log", leaveLog},
	} {
		for i := range awayClients {
			c.leave(t, r, i)
		}
		t.Logf("%d times a client %s", awayClients, c.kind)
	}
	idle := leaveIdle(t, r)
	t.Logf("%d connections idle: %v before, %v with them", awayIdle, before, r.held(t))
	for _, conn := range idle {
		_ = conn.Close()
	}
	eventually(t, time.Minute, func(context.Context) error {
		for name, now := range r.held(t) {
			if most := before[name] + awayLeft; now > most {
				return fmt.Errorf("%s: %g before, %g now", name, before[name], now)
			}
		}
		return nil
	})
	r.checkNoParts(t)
	eventually(t, time.Minute, r.allIn([]string{"away-logs"}, core.WorkflowExecution_SUCCEEDED))
}

// held is what the replicas hold: goroutines and open files, by replica.
func (r *rig) held(t *testing.T) map[string]float64 {
	t.Helper()
	out := map[string]float64{}
	for _, replica := range r.Replicas {
		for _, metric := range []string{"go_goroutines", "process_open_fds"} {
			value, err := scrape(t.Context(), "http://"+replica.Ops()+"/metrics", metric)
			must(t, err)
			out[replica.Name+" "+metric] = value
		}
	}
	return out
}

// scrape reads one metric without labels.
func scrape(ctx context.Context, page, metric string) (float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	if err != nil {
		return 0, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), metric+" "); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("%s shows no %s", page, metric)
}

// leaveCreate may have made an execution, or not; the next one tells.
func leaveCreate(t *testing.T, r *rig, i int) {
	q := launchRequest("faults.chain", fmt.Sprintf("away-%02d", i), 0)
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*500*time.Microsecond)
	_, err := r.admin.CreateExecution(ctx, q)
	cancel()
	if code := status.Code(err); code != codes.OK && !ambiguous(code) {
		t.Errorf("a create that was given up: %v", err)
	}
}

// leaveList reads the beginning of an answer.
func leaveList(t *testing.T, r *rig, _ int) {
	list := fmt.Sprintf("GET /api/v1/executions/%s/%s?limit=100 HTTP/1.1\r\nHost: skein\r\n\r\n", project, domain)
	conn := r.dialHTTP(t)
	_, err := conn.Write([]byte(list))
	must(t, err)
	_, err = io.ReadFull(conn, make([]byte, 20))
	must(t, errors.Join(err, conn.Close()))
}

// leaveUpload sends a part of what it has announced.
func leaveUpload(t *testing.T, r *rig, i int) {
	link, err := service.NewDataProxyServiceClient(r.flyte).CreateUploadLocation(t.Context(), &service.CreateUploadLocationRequest{
		Project: project, Domain: domain, Filename: "part", FilenameRoot: fmt.Sprintf("away-%d", i)})
	must(t, err)
	to, err := url.Parse(link.GetSignedUrl())
	must(t, err)
	conn := r.dialHTTP(t)
	_, err = fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: %s\r\nContent-Length: 1000000\r\n\r\n%s", to.RequestURI(), to.Host, strings.Repeat("x", 100000))
	must(t, errors.Join(err, conn.Close()))
}

// leaveLog reads no further than the first answer.
func leaveLog(t *testing.T, r *rig, _ int) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream, err := r.placed.GetLogs(ctx, &skeinv1.GetLogsRequest{
		Execution: &skeinv1.ExecutionRef{Project: project, Domain: domain, Name: "away-logs"}, Node: "a"})
	must(t, err)
	_, _ = stream.Recv() // whatever it is
}

func leaveIdle(t *testing.T, r *rig) []net.Conn {
	t.Helper()
	var out []net.Conn
	for i := range awayIdle {
		if i%2 == 0 {
			out = append(out, r.dialHTTP(t))
			continue
		}
		conn, err := net.Dial("tcp", r.client.Flyte)
		must(t, err)
		out = append(out, conn)
	}
	return out
}

// dialHTTP connects to the front door of the gateway, which signed links name.
func (r *rig) dialHTTP(t *testing.T) net.Conn {
	t.Helper()
	link, err := service.NewDataProxyServiceClient(r.flyte).CreateUploadLocation(t.Context(), &service.CreateUploadLocationRequest{
		Project: project, Domain: domain, FilenameRoot: "door"})
	must(t, err)
	door, err := url.Parse(link.GetSignedUrl())
	must(t, err)
	conn, err := net.Dial("tcp", door.Host)
	must(t, err)
	return conn
}

// checkNoParts looks for what uploads have left in the object store, and asks
// for each execution that may have been made.
func (r *rig) checkNoParts(t *testing.T) {
	t.Helper()
	must(t, filepath.WalkDir(filepath.Join(r.Store, "uploads"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.Contains(path, "away-") {
			t.Errorf("an upload that was broken off left %s", path)
		}
		return err
	}))
	var made []string
	for i := range awayClients {
		name := fmt.Sprintf("away-%02d", i)
		_, err := r.admin.GetExecution(t.Context(), &admin.WorkflowExecutionGetRequest{Id: executionID(name)})
		if err == nil {
			made = append(made, name)
		} else if status.Code(err) != codes.NotFound {
			t.Errorf("%s: %v", name, err)
		}
	}
	t.Logf("of %d creates that were given up, %d were made", awayClients, len(made))
	eventually(t, time.Minute, r.allIn(made, core.WorkflowExecution_SUCCEEDED))
}
