package assemble

import (
	"context"
	"crypto/tls"
	"log/slog"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/cmd/internal/config"
)

// How replicas find each other.
const (
	announceEvery = 10 * time.Second
	lookUpTime    = time.Second     // for one look into the database
	forgetAfter   = 5 * time.Minute // without an announcement, while others announce
)

// rows are where replicas say how they are reached.
type rows interface {
	AnnounceReplica(context.Context, flow.Replica) error
	ListReplicas(context.Context) ([]flow.Replica, error)
}

// phonebook knows how the other replicas are reached: those of the
// configuration, whose addresses hold, and those that say so in the database. So
// a replica that was added since is reached without anybody's configuration
// being edited. Connections open when they are used.
type phonebook struct {
	self flow.Replica
	rows rows
	tls  *tls.Config
	log  *slog.Logger

	mu     sync.Mutex
	lines  map[string]*line // by id
	asked  time.Time        // when a line was last looked for in vain
	closed bool
}

// line is a connection to another replica.
type line struct {
	*grpc.ClientConn
	rpc        string
	configured bool
}

func newPhonebook(self flow.Replica, list []config.Peer, r rows, tls *tls.Config, log *slog.Logger) *phonebook {
	b := &phonebook{self: self, rows: r, tls: tls, log: log, lines: map[string]*line{}}
	for _, peer := range list {
		b.put(peer.ID, peer.RPC, true)
	}
	return b
}

// run announces this replica, and looks where the others are, until ctx ends.
func (b *phonebook) run(ctx context.Context) {
	tick := time.NewTicker(announceEvery)
	defer tick.Stop()
	for {
		once, cancel := context.WithTimeout(ctx, announceEvery)
		err := b.rows.AnnounceReplica(once, b.self)
		if err == nil {
			err = b.look(once)
		}
		cancel()
		if err != nil && ctx.Err() == nil {
			b.log.Warn("the other replicas may not find this one: it cannot say where it is", "error", err.Error())
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// look takes what the database says. A replica that has been silent for long,
// by what the newest announcement says the time is, is forgotten.
func (b *phonebook) look(ctx context.Context) error {
	list, err := b.rows.ListReplicas(ctx)
	if err != nil {
		return err
	}
	var newest time.Time
	for _, r := range list {
		if r.SeenAt.After(newest) {
			newest = r.SeenAt
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range list {
		if newest.Sub(r.SeenAt) > forgetAfter {
			b.drop(r.ID)
			continue
		}
		b.put(r.ID, r.RPC, false)
	}
	return nil
}

// put notes where a replica is reached. What is configured holds.
func (b *phonebook) put(id, rpc string, configured bool) {
	if had := b.lines[id]; id == b.self.ID || b.closed || had != nil && (had.configured || had.rpc == rpc) {
		return
	}
	conn, err := grpc.NewClient("passthrough:///"+rpc, grpc.WithTransportCredentials(credentials.NewTLS(b.tls)),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: peerBackoff, MinConnectTimeout: time.Second}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 2 * time.Second}))
	if err != nil {
		b.log.Warn("a replica cannot be reached where it says", "replica", id, "rpc", rpc, "error", err.Error())
		return
	}
	b.drop(id)
	b.lines[id] = &line{ClientConn: conn, rpc: rpc, configured: configured}
}

func (b *phonebook) drop(id string) {
	if l := b.lines[id]; l != nil && !l.configured {
		l.Close()
		delete(b.lines, id)
	}
}

// ids are the replicas that can be reached, ordered.
func (b *phonebook) ids() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for id := range b.lines {
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}

// line gives the connection to a replica, or nil. One that is not known yet is
// looked up in the database, at most once a second.
func (b *phonebook) line(id string) *line {
	b.mu.Lock()
	found, soon := b.lines[id], time.Since(b.asked) < lookUpTime
	if found == nil && !soon {
		b.asked = time.Now()
	}
	b.mu.Unlock()
	if found != nil || soon || id == b.self.ID {
		return found
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookUpTime)
	defer cancel()
	if err := b.look(ctx); err != nil {
		b.log.Warn("a replica cannot be looked up", "replica", id, "error", err.Error())
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lines[id]
}

func (b *phonebook) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for _, l := range b.lines {
		l.Close()
	}
}
