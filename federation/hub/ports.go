package hub

import (
	"context"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/federation/identity"
)

// Outbox is what waits to be delivered.
type Outbox interface {
	// Assignments reads, now, the whole desired state of at most limit rows of
	// the sender's cluster whose wanted revision is above the acked one. Stale if
	// the session is not the member's newest.
	Assignments(ctx context.Context, who flow.Sender, limit int) ([]flow.Assignment, error)
	// Due gives those of the senders for whom Assignments has something: a row
	// that waits, or that the session is not the member's newest any more.
	Due(ctx context.Context, senders []flow.Sender) ([]flow.Sender, error)
	// Ack raises the acked revisions, never above the wanted ones.
	Ack(ctx context.Context, who flow.Sender, acks []flow.Ack) error
}

// Sessions stores which member speaks in which session.
type Sessions interface {
	// OpenSession raises the member's generation. NotFound if the cluster is not
	// registered, Forbidden if it was revoked.
	OpenSession(ctx context.Context, member flow.Member, hub string, report flow.ClusterReport) (flow.Session, error)
	// Report stores what a member says of its cluster.
	Report(ctx context.Context, who flow.Sender, report flow.ClusterReport) error
	// Verdicts judges an inventory in one transaction.
	Verdicts(ctx context.Context, who flow.Sender, held []flow.Held) (flow.Verdicts, error)
	// CloseSession notes that the session has no hub any more.
	CloseSession(ctx context.Context, who flow.Sender) error
}

// Sink takes events in. What it returns has been committed.
type Sink interface {
	Ingest(ctx context.Context, who flow.Sender, events []flow.Event) ([]flow.EventResult, error)
}

// Leases tells the leader of this hub's members and brings back the leases
// that it has recorded.
type Leases interface {
	Beat(ctx context.Context, hub string, beats []flow.Beat) ([]flow.Lease, error)
}

// Desk gives members their certificates.
type Desk interface {
	Join(ctx context.Context, token string, csr []byte, instance string) (cluster string, certPEM []byte, err error)
	// Renew is given the incarnation at which the member's cluster is registered.
	Renew(ctx context.Context, who identity.ID, incarnation uint64, csr []byte) ([]byte, error)
	Bundle() []byte
}
