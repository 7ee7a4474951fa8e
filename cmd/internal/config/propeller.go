package config

import (
	"fmt"
	"strings"
	"time"
)

// PropellerPrefix begins every environment variable that skein-propeller reads.
const PropellerPrefix = "SKEIN_PROPELLER_"

// Propeller is the configuration of one skein-propeller process.
type Propeller struct {
	Cluster     string    `json:"cluster"`    // name under which the cluster was registered
	Instance    string    `json:"instance"`   // name of this process within its cluster, a DNS label
	State       string    `json:"state"`      // folder for its key and certificate
	Hubs        []string  `json:"hubs"`       // host:port of control-plane replicas, tried in turn
	CA          string    `json:"ca"`         // PEM bundle by which hubs are known
	JoinToken   Secret    `json:"joinToken"`  // one-time; needed until a certificate is there
	Kubeconfig  string    `json:"kubeconfig"` // empty: the pod's own service account
	Ops         Listener  `json:"ops"`
	ObjectStore Store     `json:"objectStore"`
	Workers     int       `json:"workers"` // workflows reconciled at once
	QPS         float64   `json:"qps"`     // of requests to the Kubernetes API
	Burst       int       `json:"burst"`
	Retention   Duration  `json:"retention"`   // how long an ended FlyteWorkflow stays as a tombstone
	StrictGrace Duration  `json:"strictGrace"` // most that a pod of a strict execution gets to end in
	Tasks       Tasks     `json:"tasks"`
	Pods        Pods      `json:"pods"`
	Telemetry   Telemetry `json:"telemetry"`
}

// lowestLease is the shortest lease for which any strictGrace that is taken here
// will do. Where replicas grant a shorter one, strictGrace must be five sixths of
// that less a second, at most.
const lowestLease = 10 * time.Second

// mostGrace keeps the grace of a stop inside that lease; a grant is renewed after
// a sixth of it.
const mostGrace = lowestLease*5/6 - time.Second

// DefaultPropeller is the configuration before file, environment and flags.
func DefaultPropeller() Propeller {
	return Propeller{
		Ops:         Listener{Listen: "127.0.0.1:10255"},
		Workers:     20,
		QPS:         400,
		Burst:       800,
		Retention:   Seconds(24 * 3600),
		StrictGrace: Seconds(5),
		Tasks:       DefaultAdmin().Tasks,
		ObjectStore: DefaultAdmin().ObjectStore,
		Pods:        defaultPods(),
		Telemetry:   Telemetry{Level: "info", Format: "text"},
	}
}

// Validate reports every problem at once.
func (p *Propeller) Validate() error {
	c := &checker{}
	c.label("cluster", p.Cluster)
	c.label("instance", p.Instance)
	c.folder("state", p.State)
	c.folder("ca", p.CA)
	c.store(p.ObjectStore)
	if p.Pods.StoreHostPath && strings.HasPrefix(p.ObjectStore.Root, "s3://") {
		c.add("pods.storeHostPath: objectStore.root (%s) is no folder that could be mounted", p.ObjectStore.Root)
	}
	c.address("ops.listen", p.Ops.Listen)
	if p.Kubeconfig != "" {
		c.folder("kubeconfig", p.Kubeconfig)
	}
	if len(p.Hubs) == 0 {
		c.add("hubs: at least one host:port is needed")
	}
	for i, h := range p.Hubs {
		c.address(fmt.Sprintf("hubs[%d]", i), h)
	}
	if p.Workers < 1 {
		c.add("workers: must be at least 1, got %d", p.Workers)
	}
	if p.QPS <= 0 || p.Burst < 1 {
		c.add("qps and burst: must be above 0, got %g and %d", p.QPS, p.Burst)
	}
	if p.Retention.Duration <= 0 {
		c.add("retention: must be above 0, got %s", p.Retention)
	}
	if g := p.StrictGrace.Duration; g < time.Second || g > mostGrace {
		c.add("strictGrace: must be from 1s to %s (with a second for the stop to be heard of, it ends inside every lease above %s), got %s", mostGrace, mostGrace+time.Second, p.StrictGrace)
	}
	p.Pods.check(c)
	c.telemetry(p.Telemetry)
	return c.err()
}
