package act

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestActsAfterTheLeaseAreCounted(t *testing.T) {
	past, ahead := time.Now().Add(-time.Second), time.Now().Add(time.Hour)
	for _, c := range []struct {
		name  string
		until time.Time
		err   error
		want  string
	}{
		{"in time", ahead, nil, ""},
		{"no lease bounds it", time.Time{}, nil, ""},
		{"made after the lease", past, nil, "made "},
		{"given up at the lease's end", past, fmt.Errorf("create: %w", context.DeadlineExceeded), "unknown "},
		{"refused", past, errors.New("forbidden"), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ""
			tn := &turn{Actor: New(Options{Late: func(made bool) {
				if made {
					got += "made "
				} else {
					got += "unknown "
				}
			}})}
			tn.w.Terms.Until = c.until
			if tn.late(c.err); got != c.want {
				t.Errorf("counted %q, want %q", got, c.want)
			}
		})
	}
}
