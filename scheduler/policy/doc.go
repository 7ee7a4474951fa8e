// Package policy reads, checks, merges and prints what operators declare about
// placement, shares and failover.
//
// A policy belongs to a scope (system, domain, project, workflow); Effective
// says what holds for one execution. The package stores nothing, decides
// nothing about any cluster, and knows no time: scheduler/placement applies the
// rules, admin/store keeps the versions.
//
// Invariants: what Parse takes, Problems finds nothing wrong with, and Render
// prints so that Parse reads the same again; a narrower policy cannot undo a
// required selector; every problem names its field and the way out, and all are
// told at once.
package policy

import (
	"fmt"
	"strings"

	"github.com/skein-project/skein/api/fault"
)

// The limits of one policy document.
const (
	MaxDocument    = 64 << 10  // bytes
	MaxSelector    = 1024      // bytes of one selector
	MaxPools       = 64        // pools of one policy
	MaxPreferred   = 32        // preferences of one policy
	MaxTolerations = 32        // tolerations of one policy
	MaxClasses     = 64        // priority classes of one policy
	MaxPriority    = 1_000_000 // of a class, and its negative at least
	MaxPreference  = 100       // weight of one preference
	MaxWeight      = 1_000_000 // of a part of the score, and of a share
	MaxMoves       = 1000      // forced moves of one execution
	MaxQuota       = 1 << 50   // of each field of a quota, in its own unit
)

// Problem is one thing that is wrong with a policy.
type Problem struct {
	Field   string // its path in the document, like "rules.pools.gpu"
	Line    int    // in the document; 0: not known
	Message string // what is wrong and what to write instead
}

// String prints "rules.pools.gpu (line 7): message".
func (p Problem) String() string {
	at := p.Field
	if p.Line > 0 {
		at = strings.TrimSpace(fmt.Sprintf("%s (line %d)", at, p.Line))
	}
	if at == "" {
		return p.Message
	}
	return at + ": " + p.Message
}

// invalid is the error that tells all problems; its field is the first one's.
func invalid(problems []Problem) error {
	if len(problems) == 0 {
		return nil
	}
	lines := make([]string, len(problems))
	for i, p := range problems {
		lines[i] = p.String()
	}
	return fault.Field("document", "%s", strings.Join(lines, "; "))
}
