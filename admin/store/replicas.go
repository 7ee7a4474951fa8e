package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/skein-project/skein/api/flow"
)

// AnnounceReplica says where a replica is reached and what it runs, for the
// others to find. It is repeated as long as the replica runs; the time is the
// database's, so that the rows of several replicas can be compared.
func (s *Store) AnnounceReplica(ctx context.Context, r flow.Replica) error {
	return s.change(ctx, "AnnounceReplica", func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO replicas (id, address, rpc, version, seen_at) VALUES ($1, $2, $3, $4, now())
			ON CONFLICT (id) DO UPDATE SET address = excluded.address, rpc = excluded.rpc, version = excluded.version, seen_at = excluded.seen_at`,
			r.ID, r.Address, r.RPC, r.Version)
		return err
	}, nil)
}

// ListReplicas lists the replicas that have ever announced themselves, by id.
// What the election knows of them is not in it.
func (s *Store) ListReplicas(ctx context.Context) ([]flow.Replica, error) {
	return query(ctx, s, "ListReplicas", func(r *flow.Replica) []column {
		return []column{{"", &r.ID}, {"", &r.Address}, {"", &r.RPC}, {"", &r.Version}, {"", at(&r.SeenAt)}}
	}, "SELECT id, address, rpc, version, seen_at FROM replicas ORDER BY id")
}
