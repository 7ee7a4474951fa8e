package identity

import (
	"net/url"
	"strings"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// ID is the identity in one certificate: a member of a cluster, or a replica
// of the control plane.
type ID struct {
	TrustDomain string
	Cluster     string // of a member
	Instance    string // of a member
	Replica     string // of a replica of the control plane
}

// MemberID names a propeller process of a cluster.
func MemberID(trustDomain, cluster, instance string) ID {
	return ID{TrustDomain: trustDomain, Cluster: cluster, Instance: instance}
}

// ReplicaID names a replica of the control plane.
func ReplicaID(trustDomain, replica string) ID {
	return ID{TrustDomain: trustDomain, Replica: replica}
}

// IsMember reports whether the identity is that of a member.
func (id ID) IsMember() bool { return id.Cluster != "" && id.Instance != "" && id.Replica == "" }

// IsReplica reports whether the identity is that of a replica.
func (id ID) IsReplica() bool { return id.Replica != "" && id.Cluster == "" }

// Member is the member that the identity names.
func (id ID) Member() flow.Member { return flow.Member{Cluster: id.Cluster, Instance: id.Instance} }

// URI is the identity's SPIFFE form.
func (id ID) URI() *url.URL {
	path := "/cluster/" + id.Cluster + "/member/" + id.Instance
	if id.Replica != "" {
		path = "/admin/" + id.Replica
	}
	return &url.URL{Scheme: "spiffe", Host: id.TrustDomain, Path: path}
}

// String prints the SPIFFE URI.
func (id ID) String() string { return id.URI().String() }

// Check reports an Invalid fault unless every part can stand in a certificate.
func (id ID) Check() error {
	if !id.IsMember() && !id.IsReplica() {
		return fault.E(fault.Invalid, "an identity names either a member or a replica")
	}
	if !isName(id.TrustDomain) {
		return fault.Field("trust_domain", "want a DNS name, have %q", id.TrustDomain)
	}
	for _, part := range []string{id.Cluster, id.Instance, id.Replica} {
		if part != "" && !isName(part) {
			return fault.Field("name", "want at most 63 of a-z, 0-9, '-' and '.', beginning and ending with a letter or digit, have %q", part)
		}
	}
	return nil
}

// CheckInstance reports an Invalid fault unless a member can be called so.
func CheckInstance(name string) error {
	if !isName(name) {
		return fault.Field("instance", "want at most 63 of a-z, 0-9, '-' and '.', beginning and ending with a letter or digit, have %q", name)
	}
	return nil
}

// Parse reads an identity from a SPIFFE URI of the given trust domain.
func Parse(u *url.URL, trustDomain string) (ID, error) {
	if u == nil || u.Scheme != "spiffe" || u.Host != trustDomain || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return ID{}, fault.E(fault.Unauthorized, "not an identity of trust domain %q", trustDomain)
	}
	parts := strings.Split(strings.TrimPrefix(u.Path, "/"), "/")
	var id ID
	switch {
	case len(parts) == 4 && parts[0] == "cluster" && parts[2] == "member":
		id = MemberID(u.Host, parts[1], parts[3])
	case len(parts) == 2 && parts[0] == "admin":
		id = ReplicaID(u.Host, parts[1])
	default:
		return ID{}, fault.E(fault.Unauthorized, "identity %q names neither a member nor a replica", u)
	}
	if err := id.Check(); err != nil {
		return ID{}, fault.Wrap(fault.Unauthorized, err, "identity %q", u)
	}
	return id, nil
}

func isName(s string) bool {
	if s == "" || len(s) > 63 {
		return false
	}
	for i, c := range []byte(s) {
		alnum := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		inner := i > 0 && i < len(s)-1 && (c == '-' || c == '.')
		if !alnum && !inner {
			return false
		}
	}
	return true
}
