package assemble

import (
	"github.com/skein-project/skein/admin/dataproxy"
	"github.com/skein-project/skein/admin/ingest"
	"github.com/skein-project/skein/admin/service"
	"github.com/skein-project/skein/admin/store"
	"github.com/skein-project/skein/federation/hub"
	"github.com/skein-project/skein/federation/join"
	"github.com/skein-project/skein/plugins/blob"
	"github.com/skein-project/skein/scheduler"
	"github.com/skein-project/skein/scheduler/commit"
	"github.com/skein-project/skein/scheduler/election"
	"github.com/skein-project/skein/scheduler/snapshot"
)

// Every port of every plane, and what fills it. A port that loses its filling
// fails here, by name.
var (
	_ service.Entities      = (*store.Store)(nil)
	_ service.NamedEntities = (*store.Store)(nil)
	_ service.Projects      = (*store.Store)(nil)
	_ service.Executions    = (*store.Store)(nil)
	_ service.Runs          = (*store.Store)(nil)
	_ service.Clusters      = (*store.Store)(nil)
	_ service.Decisions     = (*store.Store)(nil)
	_ service.Reservations  = (*store.Store)(nil)
	_ service.Policies      = (*store.Store)(nil)
	_ service.Fleet         = (*store.Store)(nil)
	_ service.Audits        = (*store.Store)(nil)
	_ service.Histories     = (*store.Store)(nil)

	_ service.PolicyLanguage = policyLanguage{}
	_ service.ControlPlane   = controlPlane{}
	_ service.Forecaster     = forecaster{}

	_ ingest.Store        = (*store.Store)(nil)
	_ hub.Outbox          = (*store.Store)(nil)
	_ hub.Sessions        = (*store.Store)(nil)
	_ hub.Rebuilder       = rebuilder{}
	_ service.Rebuilds    = (*store.Store)(nil)
	_ hub.Sink            = (*ingest.Ingester)(nil)
	_ hub.Leases          = (*peers)(nil)
	_ hub.Desk            = (*join.Desk)(nil)
	_ join.Tokens         = (*store.Store)(nil)
	_ election.Epochs     = (*store.Store)(nil)
	_ snapshot.Ledger     = (*store.Store)(nil)
	_ snapshot.Fleet      = (*store.Store)(nil)
	_ commit.Ledger       = (*store.Store)(nil)
	_ commit.Rebuild      = (*store.Store)(nil)
	_ scheduler.Rebuilder = (*store.Store)(nil)
	_ service.Joiner      = joiner{}
	_ dataproxy.Objects   = (*blob.Store)(nil)
	_ dataproxy.Signer    = (*blob.Store)(nil)
)
