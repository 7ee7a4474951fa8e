package store

import (
	"context"
	"log/slog"
	"net"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// Config says which database, and how to use it. Zero fields mean the values
// of Default.
type Config struct {
	URL            string        `json:"url"`            // postgresql://user:password@host:port/database?sslmode=…
	MaxConnections int32         `json:"maxConnections"` // of this replica
	IdleMin        int32         `json:"idleMin"`        // connections kept open: opening one costs a forked process
	ConnectTimeout time.Duration `json:"connectTimeout"`
	CommitTimeout  time.Duration `json:"commitTimeout"` // how long a COMMIT's answer, and a read-back, is waited for
	MaxRetries     int           `json:"maxRetries"`    // of one transaction that lost a serialisable race

	// Known gives the highest fence that this replica has seen, replicated or
	// written; nil, or a zero fence: none. It is called at any time, also while the
	// store is opened. A database whose fence is lower was restored from a backup:
	// the store then serves no member until REBUILD was entered.
	Known func() flow.Fence `json:"-"`
	// Registerer takes the store's metrics; nil: none are shown.
	Registerer prometheus.Registerer `json:"-"`
	// Dial replaces how connections are dialled; for tests. nil: TCP.
	Dial func(ctx context.Context, network, address string) (net.Conn, error) `json:"-"`
}

// Default is the configuration but for the URL.
func Default() Config {
	return Config{
		MaxConnections: 32,
		IdleMin:        4,
		ConnectTimeout: 5 * time.Second,
		CommitTimeout:  10 * time.Second,
		MaxRetries:     50,
	}
}

// Validate says what is wrong with the first bad field.
func (c Config) Validate() error {
	switch {
	case c.URL == "":
		return fault.Field("store.url", "must name a database, for example postgresql://skein@localhost:26257/skein")
	case c.MaxConnections < 2:
		return fault.Field("store.maxConnections", "must be at least 2, is %d", c.MaxConnections)
	case c.IdleMin < 0 || c.IdleMin > c.MaxConnections:
		return fault.Field("store.idleMin", "must lie between 0 and maxConnections, is %d", c.IdleMin)
	case c.ConnectTimeout < 0 || c.CommitTimeout < 0:
		return fault.Field("store", "timeouts must not be negative")
	case c.MaxRetries < 0:
		return fault.Field("store.maxRetries", "must not be negative, is %d", c.MaxRetries)
	}
	return nil
}

// LogValue prints the configuration without the password.
func (c Config) LogValue() slog.Value {
	shown := "(not a URL)"
	if u, err := url.Parse(c.URL); err == nil {
		shown = u.Redacted()
	}
	return slog.GroupValue(
		slog.String("url", shown),
		slog.Int("maxConnections", int(c.MaxConnections)),
		slog.Int("maxRetries", c.MaxRetries),
	)
}

func (c Config) withDefaults() Config {
	d := Default()
	if c.MaxConnections == 0 {
		c.MaxConnections = d.MaxConnections
		c.IdleMin = d.IdleMin
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = d.ConnectTimeout
	}
	if c.CommitTimeout == 0 {
		c.CommitTimeout = d.CommitTimeout
	}
	if c.MaxRetries == 0 {
		c.MaxRetries = d.MaxRetries
	}
	return c
}

func (c Config) pool() (*pgxpool.Config, error) {
	p, err := pgxpool.ParseConfig(c.URL)
	if err != nil {
		return nil, fault.Field("store.url", "is not a database URL") // err would show the password
	}
	p.MaxConns, p.MinConns = c.MaxConnections, c.IdleMin
	p.ConnConfig.ConnectTimeout = c.ConnectTimeout
	p.ConnConfig.RuntimeParams["default_transaction_isolation"] = "serializable"
	p.ConnConfig.RuntimeParams["application_name"] = "skein"
	p.ConnConfig.RuntimeParams["timezone"] = "UTC"
	if c.Dial != nil {
		p.ConnConfig.DialFunc = c.Dial
	}
	return p, nil
}
