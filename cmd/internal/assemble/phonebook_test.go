package assemble

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/cmd/internal/config"
)

// announced is what the database holds.
type announced struct {
	list  []flow.Replica
	looks int
	away  error
}

func (a *announced) AnnounceReplica(_ context.Context, r flow.Replica) error {
	a.say(r.ID, r.RPC, time.Unix(1000, 0))
	return a.away
}

func (a *announced) ListReplicas(context.Context) ([]flow.Replica, error) {
	a.looks++
	return slices.Clone(a.list), a.away
}

func (a *announced) say(id, rpc string, at time.Time) {
	a.list = slices.DeleteFunc(a.list, func(r flow.Replica) bool { return r.ID == id })
	a.list = append(a.list, flow.Replica{ID: id, RPC: rpc, SeenAt: at})
}

// TestReplicasAreFoundInTheDatabase (I84): one that is in nobody's configuration
// is reached where it says; what is configured holds; one that moved is followed,
// and one that is gone is forgotten.
func TestReplicasAreFoundInTheDatabase(t *testing.T) {
	rows, start := &announced{}, time.Unix(1000, 0)
	b := newPhonebook(flow.Replica{ID: "admin-0", RPC: "a:1"}, []config.Peer{{ID: "admin-0", RPC: "a:1"}, {ID: "admin-1", RPC: "b:1"}}, rows,
		&tls.Config{}, slog.New(slog.DiscardHandler))
	defer b.close()
	reached := func(id string) string {
		if l := b.line(id); l != nil {
			return l.rpc
		}
		return ""
	}
	rows.say("admin-1", "elsewhere:1", start)
	rows.say("admin-3", "d:1", start)
	if got := reached("admin-3"); got != "d:1" || rows.looks != 1 {
		t.Errorf("a new replica is reached at %q, after %d looks", got, rows.looks)
	}
	if got := reached("admin-1"); got != "b:1" {
		t.Errorf("a configured replica is reached at %q", got)
	}
	if got := reached("admin-0"); got != "" {
		t.Errorf("it would call itself at %q", got)
	}
	for range 3 {
		if got := reached("admin-9"); got != "" || rows.looks != 1 {
			t.Errorf("nobody is reached at %q, and the database was asked %d times within a second", got, rows.looks)
		}
	}
	if _, err := (&peers{self: "admin-0", others: b}).client("admin-9"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a call to nobody: %v", err)
	}

	rows.say("admin-3", "d:2", start.Add(time.Minute))
	look(t, b)
	if got := reached("admin-3"); got != "d:2" {
		t.Errorf("a replica that moved is reached at %q", got)
	}
	rows.say("admin-1", "b:1", start)
	rows.say("admin-4", "e:1", start.Add(7*time.Minute))
	look(t, b)
	if got := b.ids(); !slices.Equal(got, []string{"admin-1", "admin-4"}) {
		t.Errorf("left are %v: admin-3 has been silent for six minutes, admin-1 is configured", got)
	}
	rows.away, rows.list = errors.New("away"), nil
	if err := b.look(t.Context()); err == nil || len(b.ids()) != 2 {
		t.Errorf("without a database: %v, and %v are left", err, b.ids())
	}
}

func look(t *testing.T, b *phonebook) {
	t.Helper()
	if err := b.look(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestAReplicaAnnouncesItself, at once and as long as it runs.
func TestAReplicaAnnouncesItself(t *testing.T) {
	rows := &announced{}
	b := newPhonebook(flow.Replica{ID: "admin-0", RPC: "a:1"}, nil, rows, &tls.Config{}, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(t.Context())
	stop()
	b.run(ctx)
	if len(rows.list) != 1 || rows.list[0].RPC != "a:1" {
		t.Errorf("announced %v", rows.list)
	}
}
