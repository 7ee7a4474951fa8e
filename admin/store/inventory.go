package store

import (
	"context"
	"crypto/sha256"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/mutant"
)

// What a member's newest session is to a REBUILD (members.rebuild).
const (
	sessionNormal = iota
	sessionOpened
	sessionListed
	sessionReported
)

// TakeInventory merges what a member holds into the rows that exist, while a
// REBUILD lasts, and gives what has no row. What it holds at a higher epoch than
// the row's is its own, what the row has it hold stays, and what waits for a
// cluster is found. Repeating it changes nothing. Stale unless the session is the
// member's newest, and was opened in this REBUILD.
func (s *Store) TakeInventory(ctx context.Context, sender flow.Sender, inventory []flow.Held) ([]flow.Held, error) {
	var unknown []flow.Held
	err := s.served(ctx, "TakeInventory", func(ctx context.Context, tx pgx.Tx) error {
		if err := reporting(ctx, tx, sender, sessionOpened, sessionListed); err != nil {
			return err
		}
		list, err := takeHeld(ctx, tx, sender, inventory)
		if err == nil {
			unknown = list
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return unknown, nil
}

// reporting checks that a session may report, that it is as far as it has to be,
// and notes how far it is now.
func reporting(ctx context.Context, tx pgx.Tx, sender flow.Sender, from, to int) error {
	found, err := readSession(tx.QueryRow(ctx, selectSession, sender.Cluster, sender.Instance), sender)
	switch {
	case err != nil:
		return err
	case found.rebuild == sessionNormal && !mutant.On("rebuild-counts-old-inventory"):
		return fault.E(fault.Stale, "session %d of member %s was not opened in a REBUILD that lasts: what it says may be older than the backup's restore",
			sender.Generation, sender.Member)
	case found.rebuild < from && !mutant.On("rebuild-counts-old-inventory"):
		return fault.E(fault.Precondition, "session %d of member %s has given no inventory yet", sender.Generation, sender.Member)
	}
	_, err = tx.Exec(ctx, "UPDATE members SET rebuild = $3 WHERE cluster = $1 AND instance = $2 AND rebuild < $3", sender.Cluster, sender.Instance, to)
	return err
}

// takeHeld lets reports change rows, and gives those about which there is none.
func takeHeld(ctx context.Context, tx pgx.Tx, sender flow.Sender, inventory []flow.Held) ([]flow.Held, error) {
	rows, err := loadClaims(ctx, tx, inventory)
	if err != nil {
		return nil, err
	}
	var unknown []flow.Held
	changed := map[flow.ExecutionID]*claim{}
	for _, h := range byEpoch(inventory) {
		row := rows[h.Execution]
		switch {
		case row == nil && !h.Epoch.Zero():
			unknown = append(unknown, h)
		case row != nil && row.take(sender.Cluster, h):
			changed[h.Execution] = row
		}
	}
	return unknown, writeClaims(ctx, tx, sender.Member, changed)
}

func writeClaims(ctx context.Context, tx pgx.Tx, member flow.Member, changed map[flow.ExecutionID]*claim) error {
	batch := &pgx.Batch{}
	list := make([]*claim, 0, len(changed))
	for _, c := range changed {
		list = append(list, c)
	}
	queueClaims(batch, member, list, written(flow.Audit{}, ""))
	return send(ctx, tx, batch)
}

func loadClaims(ctx context.Context, tx pgx.Tx, inventory []flow.Held) (map[flow.ExecutionID]*claim, error) {
	var k keys
	seen := map[flow.ExecutionID]bool{}
	for _, h := range inventory {
		if !seen[h.Execution] {
			seen[h.Execution] = true
			k.add(h.Execution)
		}
	}
	rows, err := tx.Query(ctx, "SELECT "+names("", claimColumns(new(claim)))+selectClaims, k.names, k.projects, k.domains)
	if err != nil {
		return nil, err
	}
	list, err := collect(rows, claimColumns)
	found := map[flow.ExecutionID]*claim{}
	for i := range list {
		list[i].from = list[i].owned
		found[list[i].id] = &list[i]
	}
	return found, err
}

// TakeHoldings makes the rows of executions that a member holds and that have
// none, while a REBUILD lasts, and with them projects and workflows that are
// missing; what has a row meanwhile is merged as by TakeInventory. What was
// stopped where it is held waits for a cluster. With last, the member has
// reported all. Repeating it changes nothing. Stale unless the session is the
// member's newest, and was opened in this REBUILD; Precondition before its
// inventory.
func (s *Store) TakeHoldings(ctx context.Context, sender flow.Sender, list []flow.Holding, last bool) error {
	return s.served(ctx, "TakeHoldings", func(ctx context.Context, tx pgx.Tx) error {
		to := sessionListed
		if last {
			to = sessionReported
		}
		if err := reporting(ctx, tx, sender, sessionListed, to); err != nil || len(list) == 0 {
			return err
		}
		return takeHoldings(ctx, tx, sender, list)
	})
}

func takeHoldings(ctx context.Context, tx pgx.Tx, sender flow.Sender, list []flow.Holding) error {
	var inventory []flow.Held
	for _, h := range list {
		inventory = append(inventory, h.Held)
	}
	rows, err := loadClaims(ctx, tx, inventory)
	if err != nil {
		return err
	}
	slices.SortStableFunc(list, func(a, b flow.Holding) int { return a.Held.Epoch.Compare(b.Held.Epoch) })
	changed := map[flow.ExecutionID]*claim{}
	for _, h := range list {
		row := rows[h.Held.Execution]
		if row == nil {
			if h.Assignment.Run == nil {
				continue // a tombstone of what never was here
			}
			if row, err = makeAgain(ctx, tx, h); err != nil {
				return err
			}
			rows[h.Held.Execution] = row
		}
		if row.take(sender.Cluster, h.Held) {
			changed[h.Held.Execution] = row
		}
	}
	return writeClaims(ctx, tx, sender.Member, changed)
}

// makeAgain inserts the row of an execution that the backup has forgotten, as
// one that waits for a cluster; what it refers to is made if it is missing.
func makeAgain(ctx context.Context, tx pgx.Tx, h flow.Holding) (*claim, error) {
	e := h.Execution()
	batch := &pgx.Batch{}
	project := flow.Project{ID: e.ID.Project, Name: e.ID.Project}
	fillProject(&project)
	columns := withUpdate(projectColumns(&project), &project.CreatedAt)
	batch.Queue(insertInto("projects", columns)+" ON CONFLICT (id) DO NOTHING", places(columns)...)
	queueWorkflow(batch, h.Assignment.Run)
	nonce, digest := uuid.NewString(), digestOf(e.Requirement)
	columns = append(append(lightColumns(&e), inputColumns(&e)...), column{"nonce", &nonce}, column{"digest", &digest})
	batch.Queue(insertExecution(columns, ""), places(columns)...)
	batch.Queue("INSERT INTO rebuild_held (name, project, domain, cluster, epoch_era, epoch_n, outcome) VALUES ($1, $2, $3, '', 0, 0, $4)",
		e.ID.Name, e.ID.Project, e.ID.Domain, outcomeCreated)
	err := uniqueRace(send(ctx, tx, batch))
	c := &claim{owned: owned{id: e.ID, epoch: e.Epoch, phase: e.Phase}, desired: e.Desired, revision: e.Revision, outcome: outcomeCreated}
	c.from = c.owned
	return c, err
}

// queueWorkflow stores the workflow of a run, without which the run could not be
// placed again.
func queueWorkflow(batch *pgx.Batch, run *flow.Run) {
	e := flow.Entity{Kind: flow.KindWorkflow, ID: run.Workflow, Body: run.Closure, BodyURI: run.ClosureURI, BodyDigest: run.ClosureDigest,
		CreatedAt: run.CreatedAt, UpdatedAt: run.CreatedAt}
	if e.BodyURI != "" {
		e.Body = nil
	}
	if len(e.BodyDigest) == 0 && len(e.Body) > 0 {
		sum := sha256.Sum256(e.Body)
		e.BodyDigest = sum[:]
	}
	if e.CreatedAt.IsZero() {
		e.CreatedAt, e.UpdatedAt = now(), now()
	}
	nonce := uuid.NewString()
	columns := append(entityFields(&e), column{"nonce", &nonce})
	batch.Queue(insertInto("entities", columns)+" ON CONFLICT (kind, project, domain, name, version) DO NOTHING", places(columns)...)
	batch.Queue(`INSERT INTO named_entities (kind, project, domain, name, description, state, created_at, updated_at)
		VALUES ($1, $2, $3, $4, '', 0, $5, $5) ON CONFLICT (kind, project, domain, name) DO NOTHING`,
		e.Kind, e.ID.Project, e.ID.Domain, e.ID.Name, at(&e.CreatedAt))
}
