package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/core"
)

// stay is a live placement that is about to end without a successor.
type stay struct {
	departure
	desired  flow.Desired
	failover flow.Failover
	moves    int
	revoking flow.MoveKind
	because  string // of the revocation
}

func stayColumns(s *stay) []column {
	return append(departureColumns(&s.departure), column{"desired", &s.desired}, column{"failover", lazy(&s.failover)},
		column{"moves", &s.moves}, column{"revoking", &s.revoking}, column{"revoke_reason", &s.because})
}

// backOff is the pause before a further placement of what its clusters keep
// losing: nothing the first time, then 2 s, 4 s, … and a minute at most.
func backOff(moves int) time.Duration {
	if moves <= 1 {
		return 0
	}
	return min(time.Second<<min(moves-1, 10), time.Minute)
}

// release takes what its cluster had acked and holds no more, or has given up,
// and says whether some of it was taken by force. The epoch stays, so that the next placement's
// is higher.
func release(ctx context.Context, tx pgx.Tx, lost []stay, when time.Time) (forced bool, err error) {
	w := waiting{}
	var ended ends
	var left []departure
	for _, s := range lost {
		s.kind, s.reason = flow.MoveReleased, why(flow.MoveReleased, s.cluster)
		switch {
		case s.desired == flow.DesiredAbort:
			ended.add(s.id, flow.ExecutionAborted, nil)
		case s.revoking != "" && s.revoking != flow.MoveReleased:
			s.kind, s.reason = s.revoking, s.because
			w.add(s.id, 0, time.Time{})
		case !s.failover.Moves(s.moves):
			ended.add(s.id, flow.ExecutionFailed, stuck(s, s.reason))
		default:
			w.add(s.id, 1, when.Add(backOff(s.moves+1)))
		}
		forced = forced || s.forced()
		left = append(left, s.departure)
	}
	batch := &pgx.Batch{}
	w.queue(batch, when)
	if err := ended.queue(batch, when); err != nil {
		return false, err
	}
	queueDepartures(batch, left, when)
	return forced, send(ctx, tx, batch)
}

// stuck is the error of an execution that has lost its cluster and may not move.
func stuck(s stay, lost string) *core.ExecutionError {
	policy := "its failover policy is \"never\", so it is run nowhere else"
	if s.failover.Mode != flow.FailoverNever {
		policy = fmt.Sprintf("it was moved %d times, which is its limit", s.moves)
	}
	return &core.ExecutionError{Code: flow.ReasonClusterLost, Kind: core.ExecutionError_SYSTEM,
		Message: fmt.Sprintf("%s, and %s; launch it again, or recover it", lost, policy)}
}

// waiting are executions that are to wait for a cluster again.
type waiting struct {
	keys
	forced    []int64
	notBefore []*time.Time
}

func (w *waiting) add(id flow.ExecutionID, forced int64, notBefore time.Time) {
	w.keys.add(id)
	w.forced = append(w.forced, forced)
	var until *time.Time
	if !notBefore.IsZero() {
		until = &notBefore
	}
	w.notBefore = append(w.notBefore, until)
}

func (w *waiting) queue(batch *pgx.Batch, when time.Time) {
	if len(w.names) == 0 {
		return
	}
	batch.Queue(`UPDATE executions AS t SET cluster = '', phase = 1, sequence = 0, revision = t.revision + 1, version = t.version + 1,
		updated_at = $6, moves = t.moves + k.forced, not_before = k.not_before, revoking = '', revoked_at = NULL, revoke_reason = ''
		FROM unnest($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::INT8[], $5::TIMESTAMPTZ[]) AS k (name, project, domain, forced, not_before)
		WHERE t.name = k.name AND t.project = k.project AND t.domain = k.domain`,
		w.names, w.projects, w.domains, w.forced, w.notBefore, when)
}

// ends are executions that end without their cluster.
type ends struct {
	list []end
}

type end struct {
	id    flow.ExecutionID
	phase flow.ExecutionPhase
	error *core.ExecutionError // nil: none
}

func (e *ends) add(id flow.ExecutionID, phase flow.ExecutionPhase, err *core.ExecutionError) {
	e.list = append(e.list, end{id, phase, err})
}

func (e *ends) queue(batch *pgx.Batch, when time.Time) error {
	if len(e.list) == 0 {
		return nil
	}
	var k keys
	var phases []int64
	var details [][]byte
	var kinds, codes []string
	for _, one := range e.list {
		k.add(one.id)
		var detail []byte
		kind, code := "", ""
		if one.error != nil {
			raw, err := proto.Marshal(one.error)
			if err != nil {
				return fault.Wrap(fault.Internal, err, "cannot store why execution %s has failed", one.id)
			}
			detail, kind, code = raw, one.error.GetKind().String(), one.error.GetCode()
		}
		phases, details = append(phases, int64(one.phase)), append(details, detail)
		kinds, codes = append(kinds, kind), append(codes, code)
	}
	batch.Queue(`UPDATE executions AS t SET cluster = '', phase = k.phase, sequence = 0, revision = t.revision + 1, version = t.version + 1,
		updated_at = $8, ended_at = $8, error = COALESCE(k.error, t.error), error_kind = CASE WHEN k.code = '' THEN t.error_kind ELSE k.kind END,
		error_code = CASE WHEN k.code = '' THEN t.error_code ELSE k.code END, revoking = '', revoked_at = NULL, revoke_reason = ''
		FROM unnest($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::INT8[], $5::BYTEA[], $6::TEXT[], $7::TEXT[])
		AS k (name, project, domain, phase, error, kind, code)
		WHERE t.name = k.name AND t.project = k.project AND t.domain = k.domain`,
		k.names, k.projects, k.domains, phases, details, kinds, codes, when)
	return nil
}
