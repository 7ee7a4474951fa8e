// Package capi makes data planes out of clusters that others create: of the
// Cluster objects of a Cluster API management cluster, and of a plain list of
// kubeconfigs.
//
// It runs beside those clusters, not in the control plane: the credentials that
// install a member are read where they lie, used, and handed to nobody. It
// decides nothing about executions; it registers, installs, asks for a drain
// and waits for it.
//
//	Cluster ready ─▶ finalizer ─▶ registered ─▶ member installed ─▶ joined
//	Cluster deleted ─▶ drained ─▶ removed ─▶ machines and object let go
//
// A data plane has one owner, which its labels name. What was registered by hand,
// or for another Cluster, is neither changed nor drained nor removed.
//
// Cluster API deletes machines as soon as their Cluster is deleted, whatever
// finalizers the Cluster has; so each Machine carries a pre-drain hook of ours,
// which a drained cluster's machines lose first.
//
// Invariant: a cluster's object and its machines are held until the control
// plane has said that no execution is left there, or until the deadline of its
// drain has passed and Options.AtDeadline lets it go.
package capi

import (
	"context"
	"log/slog"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// Registration is what the control plane is to know of a cluster.
type Registration struct {
	Name   string // a DNS label
	Owner  Owner
	Labels map[string]string // with the owner's
	Taints []flow.Taint
}

// State is what the control plane says of a cluster.
type State struct {
	Name      string
	Owner     Owner
	Seen      time.Time // when a member was last heard of since it was registered; zero: none has joined
	Healthy   bool      // it takes work
	Lost      bool      // declared lost: it cannot be drained
	Leaving   time.Time // since when its owner empties it; zero: it is to stay
	Remaining int64     // executions placed there
	Pinned    int64     // of those, the ones that may never move
	Expired   bool      // its drain ran into its deadline
}

// Join is what a member needs to join once.
type Join struct {
	Cluster string
	Token   string // one-time; a secret
	Expires time.Time
	CA      string   // PEM bundle by which hubs are known
	Hubs    []string // host:port
}

// Registry is the control plane. Every call may be repeated, and gives
// fault.Conflict for a cluster that Owner.Check refuses, which it leaves alone.
type Registry interface {
	// Ensure registers a cluster, or sets the labels and taints of a known one;
	// others that it has stay. It is not leaving any more.
	Ensure(ctx context.Context, r Registration) (State, error)
	// Token makes a join token for a cluster that Ensure knows; each call makes
	// another one.
	Token(ctx context.Context, r Registration) (Join, error)
	// Drain orders a drain with the first call since Ensure, whatever drain there
	// was before, and says how far it is with later ones; a drain that somebody has
	// stopped is ordered again for what is left of its deadline. For a lost cluster
	// no drain is ordered, and the deadline runs all the same. fault.NotFound if
	// there is no such cluster any more.
	Drain(ctx context.Context, name string, o Owner, d Drain) (State, error)
	// Remove forgets a cluster; one that is gone is no error. fault.Precondition,
	// which says why, while executions are held there.
	Remove(ctx context.Context, name string, o Owner) error
	// Managed lists the clusters that carry the label LabelManagedBy with that
	// value. What is placed there is not counted.
	Managed(ctx context.Context, by string) ([]State, error)
}

// Drain says how a cluster that is to go is emptied.
type Drain struct {
	Budget   int32         // executions on the move at a time; 0: the control plane's default
	Grace    time.Duration // running work may finish for so long
	Deadline time.Duration // 0: none
}

// Installer puts a member into a cluster. It may be called again at any time,
// with a join that has no token: the member is brought up to date, and keeps
// what it joined with.
type Installer interface {
	Install(ctx context.Context, kubeconfig []byte, j Join) error
}

// AtDeadline says what becomes of a deleted cluster whose drain has run into its
// deadline.
type AtDeadline string

// What can become of it.
const (
	// Hold keeps the Cluster and its machines: somebody has to look.
	Hold AtDeadline = "hold"
	// LetGo lets them be deleted; what is left there fails over like the work of
	// any lost cluster, and the cluster stays registered until it is empty.
	LetGo AtDeadline = "letgo"
)

// Names that this package writes into clusters of others.
const (
	// Finalizer holds a Cluster until its data plane is drained and removed.
	Finalizer = "skein.dev/data-plane"
	// AnnotationName names the data plane of a Cluster; by default its own name,
	// behind that of its namespace unless this is "default".
	AnnotationName = "skein.dev/name"
	// AnnotationRegistered has the name that a Cluster's data plane was registered
	// with. It keeps that one, whatever AnnotationName says later.
	AnnotationRegistered = "skein.dev/registered-name"
	// AnnotationToken says until when the join token that was installed last can
	// be used, RFC 3339.
	AnnotationToken = "skein.dev/token-expires"
	// AnnotationState says where the data plane stands, and why it goes no further.
	AnnotationState = "skein.dev/data-plane-state"
)

// Options is what a Controller needs.
type Options struct {
	Name     string // of this controller; marks what it registered
	Registry Registry
	Install  Installer
	// Selector chooses Clusters by label; empty: those labelled
	// skein.dev/data-plane.
	Selector   string
	Rules      Rules
	Drain      Drain
	AtDeadline AtDeadline    // Hold if empty
	Poll       time.Duration // between looks at what the control plane says; 2 s
	Refresh    time.Duration // between looks at a data plane that is well; a minute
	// Silent is how long a member that joined may not be heard of until it is given
	// a new token: as long as its certificate lives, by default a day. A token that
	// it does not need changes nothing.
	Silent time.Duration
	// Patience is how long this process must have found it silent: after a restored
	// backup all members seem to be, until they are back; ten minutes.
	Patience time.Duration
	Log      *slog.Logger
}

// DefaultSelector chooses the Clusters that ask for it.
const DefaultSelector = "skein.dev/data-plane"

func (o *Options) complete() error {
	if o.Name == "" || o.Registry == nil || o.Install == nil {
		return fault.E(fault.Invalid, "capi: a name, a registry and an installer are needed")
	}
	if o.Selector == "" {
		o.Selector = DefaultSelector
	}
	switch o.AtDeadline {
	case "":
		o.AtDeadline = Hold
	case Hold, LetGo:
	default:
		return fault.Field("atDeadline", "%q is neither %q nor %q", o.AtDeadline, Hold, LetGo)
	}
	if o.Poll <= 0 {
		o.Poll = 2 * time.Second
	}
	if o.Refresh <= 0 {
		o.Refresh = time.Minute
	}
	if o.Silent <= 0 {
		o.Silent = 24 * time.Hour
	}
	if o.Patience <= 0 {
		o.Patience = 10 * time.Minute
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o.Rules.check()
}
