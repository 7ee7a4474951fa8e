package badinput

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/skein-project/skein/cmd/internal/local/federationtest"
)

// fewest is how many rows the table has at least.
const fewest = 135

// longest bounds a refusal's message, in bytes: no input comes back whole.
const longest = 2000

// row is one bad input: how it is refused, and what the message says (a
// regular expression).
type row struct {
	name string
	want string // "InvalidArgument", "HTTP 400", "exit 2"
	says string
	send func(context.Context) (answer, error)
}

// answer is how something was refused.
type answer struct{ how, text string }

// What most rows are refused as.
var (
	invalid  = codes.InvalidArgument.String()
	notFound = codes.NotFound.String()
	unbuilt  = codes.Unimplemented.String()
)

// TestBadInput sends every row to one federation.
func TestBadInput(t *testing.T) {
	r := newRig(t)
	var rows []row
	for _, part := range []func(*testing.T) []row{
		r.launches, r.annotations, r.fleet, r.declarations, r.runs, r.tasks, r.workflows, r.plans, r.projects, r.lists, r.reads, r.wire,
		r.rest, r.links, r.objects, r.clusterRows, r.joins, r.credentials, r.commands, r.configurations,
	} {
		rows = append(rows, part(t)...)
	}
	names := map[string]bool{}
	before := r.stored(t)
	var refused int
	for _, row := range rows {
		if names[row.name] {
			t.Errorf("two rows are called %q", row.name)
		}
		names[row.name] = true
		if t.Run(row.name, row.check) {
			refused++
		}
	}
	for what, n := range r.stored(t) {
		if before[what] != n {
			t.Errorf("%s: %d before all these refusals, %d after", what, before[what], n)
		}
	}
	r.everyMethod(t)
	federationtest.NoSecrets(t, r.Federation, r.tokens)
	if len(rows) < fewest {
		t.Errorf("the table has %d rows, want at least %d", len(rows), fewest)
	}
	fmt.Printf("bad inputs: %d rows, %d refused as they should be\n", len(rows), refused)
}

func (c row) check(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	got, err := c.send(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if got.how != c.want || !regexp.MustCompile(c.says).MatchString(got.text) {
		t.Errorf("refused as %s: %.600s\nwant %s that matches %s", got.how, got.text, c.want, c.says)
	}
	if len(got.text) > longest {
		t.Errorf("the message has %d bytes, want at most %d: %.200s", len(got.text), longest, got.text)
	}
	for _, leak := range []string{"SQLSTATE", "panic", "goroutine", "rpc error"} {
		if strings.Contains(got.text, leak) {
			t.Errorf("the message holds %q: %.600s", leak, got.text)
		}
	}
}

// call makes a row's send out of a gRPC method and a request.
func call[Q, A any](method func(context.Context, Q, ...grpc.CallOption) (A, error), q Q) func(context.Context) (answer, error) {
	return func(ctx context.Context) (answer, error) {
		_, err := method(ctx, q)
		return answered(err)
	}
}

// answered tells how a gRPC call was refused; to be answered is a failure.
func answered(err error) (answer, error) {
	if err == nil {
		return answer{how: "OK"}, nil
	}
	return answer{status.Code(err).String(), status.Convert(err).Message()}, nil
}

// web sends an HTTP request and tells its status and body.
func web(method, url, kind, body string, headers ...string) func(context.Context) (answer, error) {
	return func(ctx context.Context) (answer, error) {
		q, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
		if err != nil {
			return answer{}, err
		}
		if kind != "" {
			q.Header.Set("Content-Type", kind)
		}
		for i := 0; i+1 < len(headers); i += 2 {
			q.Header.Set(headers[i], headers[i+1])
		}
		return do(q)
	}
}

func do(q *http.Request) (answer, error) {
	a, err := http.DefaultTransport.RoundTrip(q)
	if err != nil {
		return answer{}, err
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	return answer{fmt.Sprintf("HTTP %d", a.StatusCode), string(text)}, err
}
