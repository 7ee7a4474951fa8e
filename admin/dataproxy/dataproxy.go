// Package dataproxy answers Flyte's DataProxyService: it hands out signed links
// by which clients move bytes and need no credential for the object store. A
// bucket's server takes links that the store signs (docs/adr/0015); for a
// folder the package signs them itself and serves them over HTTP.
//
// It does not decide who may ask for a link (middleware does), keeps no list
// of links, and holds nothing in memory: a link carries all that is needed to
// check it, and any replica with the same key takes it.
//
// Invariants: a link grants one method on one object until it expires; an
// uploaded object appears whole or not at all, under a name that ends in the
// file name asked for; where a digest is given, with the content of that digest.
// In a folder it is never replaced by other content.
package dataproxy

import (
	"context"
	"io"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/service"
)

// Limits of uploads and of what they are named.
const (
	// DefaultMaxUpload bounds one upload, in bytes.
	DefaultMaxUpload = 5 << 30
	// DefaultExpiry is how long a link holds unless the caller says.
	DefaultExpiry = time.Hour
	// MaxFileName bounds one segment of a file name, in bytes.
	MaxFileName = 200
	// MinKey is the shortest key that links are signed with, in bytes.
	MinKey = 32
)

// Prefix is the path below which Handler serves objects.
const Prefix = "/skein/v1/objects/"

// Objects is the object store.
type Objects interface {
	Root() string
	// Reader opens an object; what it returns may be able to seek.
	Reader(ctx context.Context, uri string) (io.ReadCloser, error)
	// Create writes an object that appears at Close, unless ctx is cancelled
	// before; with once an existing object gives fault.Conflict.
	Create(ctx context.Context, uri string, once bool) (io.WriteCloser, error)
	// Attributes gives an object's size and, if the store keeps one, its md5.
	Attributes(ctx context.Context, uri string) (size int64, md5 []byte, err error)
}

// Signer is an object store whose server takes signed links: clients read and
// write there, and our handler is not in the way.
type Signer interface {
	SignGet(ctx context.Context, uri string, life time.Duration) (link string, err error)
	// SignPut binds the link to the digest, if there is one; whoever writes has
	// to send the headers that it gives.
	SignPut(ctx context.Context, uri string, md5 []byte, metadata map[string]string, life time.Duration) (link string, headers map[string]string, err error)
}

// Data is the part of AdminService that links and flyte:// addresses lead to;
// admin/service answers it.
type Data interface {
	GetProject(ctx context.Context, req *admin.ProjectGetRequest) (*admin.Project, error)
	GetNodeExecution(ctx context.Context, req *admin.NodeExecutionGetRequest) (*admin.NodeExecution, error)
	GetNodeExecutionData(ctx context.Context, req *admin.NodeExecutionGetDataRequest) (*admin.NodeExecutionGetDataResponse, error)
	ListTaskExecutions(ctx context.Context, req *admin.TaskExecutionListRequest) (*admin.TaskExecutionList, error)
	GetTaskExecutionData(ctx context.Context, req *admin.TaskExecutionGetDataRequest) (*admin.TaskExecutionGetDataResponse, error)
}

// Config is what an operator sets.
type Config struct {
	// PublicURL is where clients reach Handler: the front door of all replicas.
	PublicURL string
	// Key signs links: what a mounted file holds, equal on all replicas.
	Key []byte
	// MaxUpload bounds one upload, in bytes; DefaultMaxUpload if zero.
	MaxUpload int64
	// MaxExpiry bounds how long a link holds; DefaultExpiry if zero.
	MaxExpiry time.Duration
}

// Deps are what the proxy stands on.
type Deps struct {
	Objects Objects
	Signer  Signer // nil: the proxy signs its own links, for Handler
	Data    Data
	Now     func() time.Time // nil: time.Now
	Log     *slog.Logger     // nil: slog.Default
}

// Proxy answers DataProxyService; Handler serves its links.
type Proxy struct {
	service.UnimplementedDataProxyServiceServer
	cfg    Config
	deps   Deps
	signer signer
}

// New makes the proxy, or says which field of the configuration is wrong.
func New(cfg Config, deps Deps) (*Proxy, error) {
	u, err := url.Parse(cfg.PublicURL)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fault.Field("dataProxy.publicURL", "%q is not an http(s) URL", cfg.PublicURL)
	}
	if len(cfg.Key) < MinKey {
		return nil, fault.Field("keys.uploadHMAC", "holds %d bytes, at least %d are needed", len(cfg.Key), MinKey)
	}
	cfg.PublicURL = strings.TrimRight(cfg.PublicURL, "/")
	if cfg.MaxUpload == 0 {
		cfg.MaxUpload = DefaultMaxUpload
	}
	if cfg.MaxExpiry == 0 {
		cfg.MaxExpiry = DefaultExpiry
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Log == nil {
		deps.Log = slog.Default()
	}
	return &Proxy{cfg: cfg, deps: deps, signer: newSigner(cfg.Key)}, nil
}

// expiry is the end of a link's life, in whole seconds.
func (p *Proxy) expiry(in *durationpb.Duration) (time.Time, error) {
	life := min(DefaultExpiry, p.cfg.MaxExpiry)
	if in != nil {
		life = in.AsDuration()
	}
	if in != nil && (in.CheckValid() != nil || life <= 0 || life > p.cfg.MaxExpiry) {
		return time.Time{}, fault.Field("expires_in", "must be above 0 and at most %s, is %s", p.cfg.MaxExpiry, life)
	}
	return p.deps.Now().Add(life).Truncate(time.Second), nil
}

// uri is the object store's name of a key.
func (p *Proxy) uri(key string) string { return p.deps.Objects.Root() + "/" + key }

// keyOf is the key of a URI under the store's root.
func (p *Proxy) keyOf(uri string) (string, error) {
	key, ok := strings.CutPrefix(strings.TrimPrefix(uri, "file://"), p.deps.Objects.Root()+"/")
	if !ok {
		return "", fault.E(fault.NotFound, "%s does not lie in the control plane's object store", uri)
	}
	if p.deps.Signer != nil {
		return key, nil // tasks named it, and its store knows what it takes
	}
	return key, checkKey(key)
}
