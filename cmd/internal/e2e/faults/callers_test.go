package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/service"
)

// callMark is the annotation by which a stored execution names the call that
// made it: every try has its own.
const callMark = "faults.skein.dev/call"

// outcome is what one call said.
type outcome struct {
	name string // of the execution
	call string
	code codes.Code
}

// ambiguous codes leave open whether the execution was made; every other code
// but OK says that this call did not make it.
func ambiguous(c codes.Code) bool {
	return c == codes.Unavailable || c == codes.DeadlineExceeded || c == codes.Canceled
}

// callers create executions as flytekit does: four tries at once, and none
// after a deadline. Some of their calls have little time, some are given up, and
// of some the connection is cut.
type callers struct {
	users []*caller

	mu       sync.Mutex
	chance   *rand.Rand
	outcomes []outcome
}

type caller struct {
	cutter *cutter
	api    service.AdminServiceClient
}

func newCallers(t *testing.T, door string, n int, seed uint64) *callers {
	t.Helper()
	c := &callers{chance: rand.New(rand.NewPCG(seed, 0))}
	for range n {
		cut := newCutter(t, door)
		conn, err := grpc.NewClient(cut.listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
		must(t, err)
		t.Cleanup(func() { conn.Close() })
		c.users = append(c.users, &caller{cutter: cut, api: service.NewAdminServiceClient(conn)})
	}
	return c
}

// mishap is what befalls one call.
type mishap struct {
	deadline time.Duration
	giveUp   time.Duration // zero: never
	cut      bool
	cutAfter time.Duration
}

// draw chooses what befalls a call: half of them are spared.
func (c *callers) draw() mishap {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := mishap{deadline: 15 * time.Second}
	short := time.Duration(c.chance.Int64N(int64(25 * time.Millisecond)))
	switch c.chance.IntN(6) {
	case 0:
		m.deadline = short
	case 1:
		m.giveUp = short + time.Microsecond
	case 2:
		m.cut, m.cutAfter = true, short
	}
	return m
}

// create is one user's call with its tries; it gives the last code.
func (c *callers) create(ctx context.Context, user int, q *admin.ExecutionCreateRequest) codes.Code {
	u := c.users[user%len(c.users)]
	for try := 1; ; try++ {
		call := fmt.Sprintf("user-%d-try-%d", user, try)
		q.Spec.Annotations = &admin.Annotations{Values: map[string]string{callMark: call}}
		code := u.once(ctx, q, c.draw())
		c.mu.Lock()
		c.outcomes = append(c.outcomes, outcome{name: q.Name, call: call, code: code})
		c.mu.Unlock()
		if code == codes.OK || code == codes.DeadlineExceeded || try == 4 {
			return code
		}
	}
}

func (u *caller) once(ctx context.Context, q *admin.ExecutionCreateRequest, m mishap) codes.Code {
	ctx, cancel := context.WithTimeout(ctx, m.deadline)
	defer cancel()
	if m.giveUp > 0 {
		defer time.AfterFunc(m.giveUp, cancel).Stop()
	}
	if m.cut {
		u.cutter.cut(m.cutAfter)
	}
	_, err := u.api.CreateExecution(ctx, q)
	return status.Code(err)
}

// byCode counts outcomes.
func (c *callers) byCode() map[codes.Code]int {
	out := map[codes.Code]int{}
	for _, o := range c.outcomes {
		out[o.code]++
	}
	return out
}
