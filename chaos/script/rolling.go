package script

import "context"

// Parts are the processes that are replaced while the others go on.
type Parts interface {
	// Restart stops one in order, starts it again, and waits until it is ready.
	Restart(ctx context.Context, name string) error
	// Upgrade is Restart with the programs of another release: "new" or "old".
	Upgrade(ctx context.Context, name, release string) error
	// Join starts one more replica, and adds it to the election.
	Join(ctx context.Context) error
	// Leave removes a replica from the election, and stops it for good.
	Leave(ctx context.Context, name string) error
}

// rolling are the verbs of maintenance.
var rolling = map[string]verb{
	"restart":        {1, nil, func(ctx context.Context, r *run, s Step) error { return r.Parts.Restart(ctx, s.Args[0]) }},
	"upgrade":        {2, nil, func(ctx context.Context, r *run, s Step) error { return r.Parts.Upgrade(ctx, s.Args[0], s.Args[1]) }},
	"add-replica":    {0, nil, func(ctx context.Context, r *run, _ Step) error { return r.Parts.Join(ctx) }},
	"remove-replica": {1, nil, func(ctx context.Context, r *run, s Step) error { return r.Parts.Leave(ctx, s.Args[0]) }},
}
