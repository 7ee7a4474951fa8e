package store

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// sign is what gives a restored backup away: somebody has seen more than the
// database holds.
type sign struct {
	known flow.Fence // the fence that was seen; zero if the sign is another one
	why   string     // for people
}

func (s *sign) Error() string { return s.why }

// restored refuses what cannot be answered from a restored backup. Who gets it
// enters REBUILD: see served.
func restored(s *sign) error {
	return fault.Wrap(fault.Unavailable, s, "the database was restored from a backup, and has to be rebuilt")
}

// rebuilding refuses what waits for the end of REBUILD.
func rebuilding() error {
	return fault.E(fault.Unavailable, "the control plane is in REBUILD after a restored backup: nothing is placed, leased or recorded until it has ended")
}

// known is the highest fence that this replica has seen. It must be read before
// the database's fence is: the two rise together.
func (s *Store) known() flow.Fence {
	if s.config.Known == nil {
		return flow.Fence{}
	}
	return s.config.Known()
}

// older gives the sign if the database's fence is below the known one.
func older(known, found flow.Fence) *sign {
	if known.Compare(found) <= 0 {
		return nil
	}
	return &sign{known: known, why: "the fence " + known.String() + " was seen, and the database is at " + found.String()}
}

// connected prepares each new connection, and compares: whatever restored the
// database has cut the old ones. What is found makes the store serve no member
// until REBUILD was entered.
func (s *Store) connected(ctx context.Context, conn *pgx.Conn) error {
	if err := setUp(ctx, conn); err != nil {
		return err
	}
	known := s.known()
	if known == (flow.Fence{}) {
		return nil
	}
	var found flow.Fence
	err := scanFence(conn.QueryRow(ctx, "SELECT era, epoch, beat FROM scheduler WHERE one = 1"), &found)
	if sqlState(err) == stateNoTable || errors.Is(err, pgx.ErrNoRows) {
		found, err = flow.Fence{}, nil // it is emptier than any that we have seen
	}
	if err != nil {
		return err
	}
	if seen := older(known, found); seen != nil {
		s.noticed.CompareAndSwap(nil, seen)
	}
	return nil
}

// unrestored refuses while a restored backup was noticed and REBUILD was not
// entered. It is asked behind BEGIN: then the connection has been compared.
func (s *Store) unrestored() error {
	if seen := s.noticed.Load(); seen != nil {
		return restored(seen)
	}
	return nil
}

// served runs a transaction of a member, until its outcome is known. Where it
// meets a sign of a restored backup, nothing is stored, REBUILD is entered, and
// the member is told Unavailable.
func (s *Store) served(ctx context.Context, op string, fn func(context.Context, pgx.Tx) error) error {
	return s.entering(ctx, s.change(ctx, op, func(ctx context.Context, tx pgx.Tx) error {
		if err := s.unrestored(); err != nil {
			return err
		}
		return fn(ctx, tx)
	}, nil))
}

// entering enters REBUILD if err is a sign, and gives err.
func (s *Store) entering(ctx context.Context, err error) error {
	var seen *sign
	if err == nil || !errors.As(err, &seen) {
		return err
	}
	if _, err := s.EnterRebuild(ctx, seen.known, seen.why); err != nil {
		return err
	}
	return err
}
