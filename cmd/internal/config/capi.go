package config

import "fmt"

// CAPIPrefix begins every environment variable that skein-capi reads.
const CAPIPrefix = "SKEIN_CAPI_"

// CAPI is the configuration of one skein-capi process.
type CAPI struct {
	Name         string       `json:"name"` // marks what this process registers; the same after a restart
	ControlPlane ControlPlane `json:"controlPlane"`
	Management   Management   `json:"management"`
	Clusters     []PlainEntry `json:"clusters"` // a plain list, besides or instead of a management cluster
	Rules        Rules        `json:"rules"`
	Drain        Draining     `json:"drain"`
	Member       MemberOf     `json:"member"`
	Ops          Listener     `json:"ops"`
	Telemetry    Telemetry    `json:"telemetry"`
}

// ControlPlane is how an operator reaches skein.v1.
type ControlPlane struct {
	Address    string `json:"address"`    // host:port, TLS
	CA         string `json:"ca"`         // PEM bundle that signs it
	ServerName string `json:"serverName"` // in its certificate; empty: the host
	TokenFile  string `json:"tokenFile"`  // the operator's token
}

// Management is a Cluster API management cluster.
type Management struct {
	Watch      bool   `json:"watch"`
	Kubeconfig string `json:"kubeconfig"` // empty: the pod's own service account
	Namespace  string `json:"namespace"`  // of the Clusters; empty: all
	Selector   string `json:"selector"`   // label selector of the Clusters
}

// PlainEntry is one cluster of a plain list.
type PlainEntry struct {
	Name       string            `json:"name"`
	Kubeconfig string            `json:"kubeconfig"`
	Labels     map[string]string `json:"labels,omitempty"`
}

// Rules say what of a cluster's labels and failure domains its data plane
// carries.
type Rules struct {
	Copy           []string          `json:"copy"`
	Rename         map[string]string `json:"rename"`
	Set            map[string]string `json:"set"`
	FailureDomains string            `json:"failureDomains"`
}

// Draining says how a cluster that is to go is emptied.
type Draining struct {
	Budget     int      `json:"budget"`
	Grace      Duration `json:"grace"`
	Deadline   Duration `json:"deadline"` // 0s: none
	AtDeadline string   `json:"atDeadline"`
}

// MemberOf is what is installed.
type MemberOf struct {
	Image        string   `json:"image"`
	StorageClass string   `json:"storageClass"`
	Hubs         []string `json:"hubs"`   // as the data planes reach them
	Config       string   `json:"config"` // a skein-propeller.yaml without cluster, instance, state, hubs, ca and joinToken
}

// DefaultCAPI is the configuration before file, environment and flags.
func DefaultCAPI() CAPI {
	return CAPI{
		Name:       "skein-capi",
		Management: Management{Watch: true, Selector: "skein.dev/data-plane"},
		Rules:      Rules{Copy: []string{"topology.kubernetes.io/"}, FailureDomains: "skein.dev/failure-domains"},
		Drain:      Draining{Budget: 10, Grace: Seconds(60), AtDeadline: "hold"},
		Ops:        Listener{Listen: "127.0.0.1:10256"},
		Telemetry:  Telemetry{Level: "info", Format: "text"},
	}
}

// Validate reports every problem at once.
func (p *CAPI) Validate() error {
	c := &checker{}
	c.label("name", p.Name)
	c.address("controlPlane.address", p.ControlPlane.Address)
	c.folder("controlPlane.ca", p.ControlPlane.CA)
	c.folder("controlPlane.tokenFile", p.ControlPlane.TokenFile)
	if p.Management.Kubeconfig != "" {
		c.folder("management.kubeconfig", p.Management.Kubeconfig)
	}
	if !p.Management.Watch && len(p.Clusters) == 0 {
		c.add("management.watch and clusters: there is nothing to do; set one of them")
	}
	for i, e := range p.Clusters {
		c.label(fmt.Sprintf("clusters[%d].name", i), e.Name)
		c.folder(fmt.Sprintf("clusters[%d].kubeconfig", i), e.Kubeconfig)
	}
	if p.Drain.Budget < 1 || p.Drain.Grace.Duration < 0 || p.Drain.Deadline.Duration < 0 {
		c.add("drain: budget must be at least 1, grace and deadline not below 0, got %d, %s and %s", p.Drain.Budget, p.Drain.Grace, p.Drain.Deadline)
	}
	if p.Drain.AtDeadline != "hold" && p.Drain.AtDeadline != "letgo" {
		c.add("drain.atDeadline: want hold or letgo, got %q", p.Drain.AtDeadline)
	}
	c.required("member.image", p.Member.Image)
	c.folder("member.config", p.Member.Config)
	if len(p.Member.Hubs) == 0 {
		c.add("member.hubs: at least one host:port is needed")
	}
	for i, h := range p.Member.Hubs {
		c.address(fmt.Sprintf("member.hubs[%d]", i), h)
	}
	c.address("ops.listen", p.Ops.Listen)
	c.telemetry(p.Telemetry)
	return c.err()
}
