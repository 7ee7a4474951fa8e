package member

import (
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skein-project/skein/api/fault"
)

// Options is what a member needs.
type Options struct {
	// Client writes; it may read from a cache.
	Client client.Client
	// Reader reads from the API server itself (never from a cache): the inventory
	// must not miss what was just written. Nil: Client.
	Reader client.Reader
	// Cache tells of changed FlyteWorkflows. Nil: they are listed each Sweep.
	Cache cache.Cache
	// Kube reads pod logs. Nil: log requests are answered with an error.
	Kube kubernetes.Interface

	Hubs     []string // host:port, dialled in turn
	CA       []byte   // PEM bundle of the control plane
	StateDir string   // holds this member's key and certificate
	// JoinToken is used when StateDir holds no valid certificate.
	JoinToken string
	Instance  string // unique within the cluster; the host name if empty

	TaskTypes []string
	Version   string
	// Store names the object store that tasks write to: clusters that name the
	// same one share it. Empty: none is shared.
	Store string
	// OnOpen is told which FlyteWorkflows may (again) start work.
	OnOpen func([]types.NamespacedName)

	Clock         Clock         // nil: the system's
	Sweep         time.Duration // between full looks at FlyteWorkflows; a minute (with a Cache), else a second
	CapacityEvery time.Duration // between looks at the nodes; 15 s if zero
	DialOptions   []grpc.DialOption
	Log           *slog.Logger
	Registerer    prometheus.Registerer // nil: metrics are kept and not shown
}

func (o *Options) complete() error {
	if o.Client == nil || len(o.Hubs) == 0 || len(o.CA) == 0 || o.StateDir == "" {
		return fault.E(fault.Invalid, "a member needs a Kubernetes client, addresses of hubs, the control plane's CA and a state folder")
	}
	if o.Reader == nil {
		o.Reader = o.Client
	}
	if o.Instance == "" {
		host, err := os.Hostname()
		if err != nil {
			return fault.Wrap(fault.Internal, err, "read the host name")
		}
		o.Instance = strings.ToLower(host)
	}
	if o.Clock == nil {
		o.Clock = systemClock{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Sweep <= 0 {
		o.Sweep = time.Second
		if o.Cache != nil {
			o.Sweep = time.Minute
		}
	}
	if o.CapacityEvery <= 0 {
		o.CapacityEvery = 15 * time.Second
	}
	if o.OnOpen == nil {
		o.OnOpen = func([]types.NamespacedName) {}
	}
	return nil
}
