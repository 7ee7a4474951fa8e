package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// AdminPrefix begins every environment variable that skein-admin reads.
const AdminPrefix = "SKEIN_ADMIN_"

// Admin is the configuration of one skein-admin replica.
type Admin struct {
	Replica     string     `json:"replica"`     // name of this replica, a DNS label
	TrustDomain string     `json:"trustDomain"` // of SPIFFE identities
	State       string     `json:"state"`       // folder that this replica alone writes
	Flyte       Flyte      `json:"flyte"`
	Federation  Federation `json:"federation"`
	Ops         Listener   `json:"ops"` // metrics, liveness, readiness
	Raft        Raft       `json:"raft"`
	Peers       []Peer     `json:"peers"` // those of the first start, and this one
	Database    Database   `json:"database"`
	ObjectStore Store      `json:"objectStore"`
	Keys        Keys       `json:"keys"`
	Projects    []string   `json:"projects"` // seeded at the first migration
	Domains     []string   `json:"domains"`
	Scheduler   Scheduling `json:"scheduler"`
	Tasks       Tasks      `json:"tasks"`
	Telemetry   Telemetry  `json:"telemetry"`
}

// Flyte is where Flyte's own clients connect.
type Flyte struct {
	GRPC      string `json:"grpc"`      // address of Flyte's gRPC services
	HTTP      string `json:"http"`      // address of the REST gateway and of uploads
	PublicURL string `json:"publicURL"` // base of signed URLs, as clients reach it
	// PublicStoreURL is the S3 server in signed URLs, as clients reach it;
	// empty: objectStore.endpoint.
	PublicStoreURL string `json:"publicStoreURL"`
	// Origins are those whose pages may call the REST API from a browser; "*"
	// lets any page call it.
	Origins []string `json:"origins"`
}

// Listener is one address to listen on.
type Listener struct {
	Listen string `json:"listen"`
}

// Federation is where members, peers and operators connect, by TLS.
type Federation struct {
	Listen      string   `json:"listen"`
	Certificate Duration `json:"certificate"` // how long a member's is valid; it renews it at two thirds
}

// Raft is this replica's part in the election.
type Raft struct {
	Listen    string   `json:"listen"`
	Bootstrap bool     `json:"bootstrap"` // true on one replica, at the very first start
	Heartbeat Duration `json:"heartbeat"`
	Election  Duration `json:"election"`
	Lease     Duration `json:"leaderLease"`
}

// Peer is one replica as the others reach it.
type Peer struct {
	ID   string `json:"id"`
	Raft string `json:"raft"` // address of its raft listener
	RPC  string `json:"rpc"`  // address of its federation listener
}

// Database is where every fact is kept.
type Database struct {
	URL      Secret `json:"url"`
	MaxConns int    `json:"maxConns"`
}

// Store is where bytes are kept: a bare absolute folder, or s3://bucket/prefix.
// The others are for buckets; credentials come from where the AWS SDK looks.
type Store struct {
	Root      string   `json:"root"`
	Endpoint  string   `json:"endpoint"`  // URL of the S3 server; empty: AWS's
	Region    string   `json:"region"`    // empty: AWS_REGION
	PathStyle bool     `json:"pathStyle"` // the bucket is in the path, not in the host name
	Timeout   Duration `json:"timeout"`   // how long the server may be silent within one try
}

// Keys are mounted files that all replicas share.
type Keys struct {
	CACert        string `json:"caCert"`
	CAKey         string `json:"caKey"`
	UploadHMAC    string `json:"uploadHMAC"`
	OperatorToken string `json:"operatorToken"`
}

// Scheduling holds the clocks of liveness and ownership, and defaults.
type Scheduling struct {
	Suspect Duration `json:"suspect"` // without a heartbeat for so long: nothing new
	Lease   Duration `json:"lease"`   // how long a member may start work without us
	Margin  Duration `json:"margin"`  // after the end of a lease, until it counts as ended
	Timeout Duration `json:"timeout"` // of one round of reads, and of one transaction; 0: from the lease

	Moves       int      `json:"moves"`       // forced moves in one cycle
	MoveBackOff Duration `json:"moveBackOff"` // what was moved once stays so long, at least; doubles
	Preemptions int      `json:"preemptions"` // in one cycle, for work of higher priority
	Starve      Duration `json:"starve"`      // what has waited so long goes first
	Keep        Duration `json:"keep"`        // rows of what has ended
	Rounds      int      `json:"rounds"`      // the newest decisions that can be replayed

	DefaultSelector string `json:"defaultSelector"` // for executions that name no label
}

// Tasks holds what containers get when they ask for nothing, and at most.
type Tasks struct {
	DefaultCPU    string `json:"defaultCPU"`
	DefaultMemory string `json:"defaultMemory"`
	LimitCPU      string `json:"limitCPU"`
	LimitMemory   string `json:"limitMemory"`
}

// Telemetry says how to log. Traces go where the standard OTEL_* variables say.
type Telemetry struct {
	Level  string `json:"level"`  // debug, info, warn or error
	Format string `json:"format"` // text or json
}

// DefaultAdmin is the configuration before file, environment and flags.
func DefaultAdmin() Admin {
	return Admin{
		TrustDomain: "skein.local",
		Flyte:       Flyte{GRPC: "127.0.0.1:8089", HTTP: "127.0.0.1:8088", PublicURL: "http://127.0.0.1:8088"},
		Federation:  Federation{Listen: "127.0.0.1:8443", Certificate: Seconds(24 * 3600)},
		Ops:         Listener{Listen: "127.0.0.1:10254"},
		Raft:        Raft{Listen: "127.0.0.1:8300", Heartbeat: Seconds(0.4), Election: Seconds(0.4), Lease: Seconds(0.3)},
		Database:    Database{MaxConns: 32},
		ObjectStore: Store{Timeout: Seconds(10)},
		Projects:    []string{"flytesnacks"},
		Domains:     []string{"development", "staging", "production"},
		Scheduler: Scheduling{Suspect: Seconds(5), Lease: Seconds(30), Margin: Seconds(2), Moves: 500, MoveBackOff: Seconds(30),
			Preemptions: 20, Starve: Seconds(600), Keep: Seconds(7 * 24 * 3600), Rounds: 20_000},
		Tasks:     Tasks{DefaultCPU: "2", DefaultMemory: "200Mi", LimitCPU: "2", LimitMemory: "1Gi"},
		Telemetry: Telemetry{Level: "info", Format: "text"},
	}
}

// A member's certificate must outlast what keeps it from being renewed; and one
// in the wrong hands is good until its end, if nobody revokes it.
const (
	shortestCertificate = 10 * time.Second
	longestCertificate  = 90 * 24 * time.Hour
)

var dnsLabel = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// Validate reports every problem at once.
func (a *Admin) Validate() error {
	c := &checker{}
	c.label("replica", a.Replica)
	c.required("trustDomain", a.TrustDomain)
	c.folder("state", a.State)
	c.address("flyte.grpc", a.Flyte.GRPC)
	c.address("flyte.http", a.Flyte.HTTP)
	c.url("flyte.publicURL", a.Flyte.PublicURL)
	c.address("federation.listen", a.Federation.Listen)
	if life := a.Federation.Certificate.Duration; life < shortestCertificate || life > longestCertificate {
		c.add("federation.certificate: want %s to %s, got %s", shortestCertificate, longestCertificate, a.Federation.Certificate)
	}
	c.address("ops.listen", a.Ops.Listen)
	c.address("raft.listen", a.Raft.Listen)
	c.required("database.url", a.Database.URL.Reveal())
	c.store(a.ObjectStore)
	if a.Flyte.PublicStoreURL != "" {
		c.url("flyte.publicStoreURL", a.Flyte.PublicStoreURL)
	}
	for key, path := range map[string]string{"keys.caCert": a.Keys.CACert, "keys.caKey": a.Keys.CAKey,
		"keys.uploadHMAC": a.Keys.UploadHMAC, "keys.operatorToken": a.Keys.OperatorToken} {
		c.folder(key, path)
	}
	c.peers(a.Replica, a.Peers)
	c.clocks(a.Scheduler)
	c.telemetry(a.Telemetry)
	if len(a.Domains) == 0 {
		c.add("domains: at least one is needed")
	}
	return c.err()
}

// checker collects problems.
type checker struct{ problems []error }

func (c *checker) add(format string, args ...any) {
	c.problems = append(c.problems, fmt.Errorf(format, args...))
}

func (c *checker) err() error { return errors.Join(c.problems...) }

func (c *checker) required(key, value string) {
	if value == "" {
		c.add("%s: must be set", key)
	}
}

func (c *checker) label(key, value string) {
	if !dnsLabel.MatchString(value) {
		c.add("%s: %q is not a DNS label (lower case letters, digits and -, at most 63)", key, value)
	}
}

func (c *checker) folder(key, path string) {
	if !filepath.IsAbs(path) {
		c.add("%s: must be an absolute path, got %q", key, path)
	}
}

func (c *checker) address(key, value string) {
	if _, _, err := net.SplitHostPort(value); err != nil {
		c.add("%s: %q is not host:port", key, value)
	}
}

func (c *checker) url(key, value string) {
	if u, err := url.Parse(value); err != nil || u.Host == "" || !strings.HasPrefix(u.Scheme, "http") {
		c.add("%s: %q is not an http(s) URL", key, value)
	}
}

func (c *checker) store(s Store) {
	c.required("objectStore.root", s.Root)
	if s.Endpoint != "" {
		c.url("objectStore.endpoint", s.Endpoint)
	}
	if s.Timeout.Duration <= 0 {
		c.add("objectStore.timeout: must be above 0, got %s", s.Timeout)
	}
}

func (c *checker) peers(replica string, peers []Peer) {
	seen := map[string]bool{}
	for i, p := range peers {
		key := fmt.Sprintf("peers[%d]", i)
		c.label(key+".id", p.ID)
		c.address(key+".raft", p.Raft)
		c.address(key+".rpc", p.RPC)
		if seen[p.ID] {
			c.add("%s.id: %q is there twice", key, p.ID)
		}
		seen[p.ID] = true
	}
	if !seen[replica] {
		c.add("peers: must list this replica (%q), as the others reach it", replica)
	}
}

// What the scheduler demands of its clocks. A test holds these to
// scheduler.Config, so that what is refused is told by its key.
const (
	leastSuspect   = 2 * time.Second // two heartbeats
	longestTimeout = 5 * time.Second
)

// TransactionTimeout bounds one round of the scheduler's reads and one of its
// transactions: two fifths of the lease, at most 5 s, unless it is given.
func (s Scheduling) TransactionTimeout() time.Duration {
	if s.Timeout.Duration != 0 {
		return s.Timeout.Duration
	}
	return min(longestTimeout, s.Lease.Duration*2/5)
}

func (c *checker) clocks(s Scheduling) {
	need := func(ok bool, key, format string, args ...any) {
		if !ok {
			c.add("scheduler."+key+": "+format, args...)
		}
	}
	lease, margin, timeout := s.Lease.Duration, s.Margin.Duration, s.TransactionTimeout()
	need(s.Suspect.Duration >= leastSuspect, "suspect", "must be at least %s (two heartbeats), got %s", leastSuspect, s.Suspect)
	need(lease > s.Suspect.Duration, "lease", "%s must be above scheduler.suspect (%s): else a cluster lapses before it is suspect", s.Lease, s.Suspect)
	need(timeout > 0 && 2*timeout < lease, "timeout", "twice %s must be below scheduler.lease (%s): a grant must outlive two slow writes", timeout, s.Lease)
	need(margin >= lease/100, "margin", "%s must be at least a hundredth of scheduler.lease (%s): clocks drift", s.Margin, s.Lease)
	need(s.Moves > 0, "moves", "must be above 0, got %d", s.Moves)
	need(s.Preemptions >= 0, "preemptions", "must not be below 0, got %d", s.Preemptions)
	need(s.MoveBackOff.Duration >= 0 && s.MoveBackOff.Duration <= time.Hour, "moveBackOff", "must be 0 to 1h, got %s", s.MoveBackOff)
	need(s.Starve.Duration > 0, "starve", "must be above 0, got %s", s.Starve)
	need(s.Keep.Duration >= time.Hour, "keep", "must be at least 1h, got %s", s.Keep)
	need(s.Rounds >= 0, "rounds", "must not be below 0, got %d", s.Rounds)
}

func (c *checker) telemetry(t Telemetry) {
	switch t.Level {
	case "debug", "info", "warn", "error":
	default:
		c.add("telemetry.level: want debug, info, warn or error, got %q", t.Level)
	}
	if t.Format != "text" && t.Format != "json" {
		c.add("telemetry.format: want text or json, got %q", t.Format)
	}
}
