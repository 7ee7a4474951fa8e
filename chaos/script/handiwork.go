package script

import (
	"context"
	"fmt"
	"strings"
)

// handiwork is what is done by hand on machines: disks fill and are cleared, who
// is locked out is let in, and logs are read.
var handiwork = map[string]verb{
	"fill":    {1, nil, func(ctx context.Context, r *run, s Step) error { return r.Machines.Fill(ctx, s.Args[0]) }},
	"clear":   {1, nil, func(ctx context.Context, r *run, s Step) error { return r.Machines.Clear(ctx, s.Args[0]) }},
	"readmit": {1, nil, func(ctx context.Context, r *run, s Step) error { return r.Machines.Readmit(ctx, s.Args[0]) }},
	"says":    {2, []string{"within"}, says},
}

// Machines are what the processes run on, in operators' hands.
type Machines interface {
	// Fill takes all room of the disk below a part, of a federation with disks=small:
	// "database", a replica, "leader", or "CLUSTER/etcd".
	Fill(ctx context.Context, part string) error
	// Clear gives it back; "*" clears all disks.
	Clear(ctx context.Context, part string) error
	// Readmit gives a propeller a new join token and starts it anew, as who cannot
	// renew its certificate any more needs it.
	Readmit(ctx context.Context, cluster string) error
	// Log is what a process, as Processes names it, has said so far.
	Log(ctx context.Context, process string) (string, error)
}

// says waits until a process's log has some words.
func says(ctx context.Context, r *run, s Step) error {
	words := strings.Join(s.Args[1:], " ")
	return until(ctx, s.duration("within", patience), func() (bool, error) {
		log, err := r.Machines.Log(ctx, s.Args[0])
		if err == nil && !strings.Contains(log, words) {
			err = fmt.Errorf("the log of %s does not say %q", s.Args[0], words)
		}
		return err == nil, err
	})
}
