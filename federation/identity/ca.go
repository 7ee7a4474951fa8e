package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// DefaultTTL is how long certificates of members and replicas are valid.
const DefaultTTL = 24 * time.Hour

const (
	caLife   = 10 * 365 * 24 * time.Hour
	backdate = 5 * time.Minute // clocks of members may be behind
)

// CA signs the certificates of members and replicas. Its key never leaves the
// process and its file.
type CA struct {
	trustDomain string
	key         *ecdsa.PrivateKey
	cert        *x509.Certificate
	bundle      []byte
}

// OpenCA reads the authority's key and certificate, and makes those that are
// absent: each file appears whole or not at all with mode 0600, and of replicas
// that start at once on a shared mount one makes it and the others read it.
func OpenCA(keyFile, certFile, trustDomain string, now time.Time) (*CA, error) {
	if !isName(trustDomain) {
		return nil, fault.Field("trust_domain", "want a DNS name, have %q", trustDomain)
	}
	keyPEM, err := readOrMake(keyFile, newKeyPEM)
	if err != nil {
		return nil, err
	}
	key, err := parseKey(keyPEM)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "read CA key %s", keyFile)
	}
	certPEM, err := readOrMake(certFile, func() ([]byte, error) { return selfSign(key, trustDomain, now) })
	if err != nil {
		return nil, err
	}
	cert, err := parseCert(certPEM)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "read CA certificate %s", certFile)
	}
	if !key.PublicKey.Equal(cert.PublicKey) {
		return nil, fault.E(fault.Invalid, "CA certificate %s is not of key %s", certFile, keyFile)
	}
	return &CA{trustDomain: trustDomain, key: key, cert: cert, bundle: certPEM}, nil
}

// TrustDomain is the one whose identities the authority signs.
func (c *CA) TrustDomain() string { return c.trustDomain }

// Bundle is the PEM by which others know the authority.
func (c *CA) Bundle() []byte { return append([]byte(nil), c.bundle...) }

// Pool holds the authority's certificate.
func (c *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(c.cert)
	return pool
}

// SignMember signs a member's certificate that does not say by which
// registration of its cluster it was made. Of the request only the public key is
// used; names in it are ignored.
func (c *CA) SignMember(csrPEM []byte, cluster, instance string, now time.Time, ttl time.Duration) ([]byte, error) {
	return c.SignRegistered(csrPEM, flow.Member{Cluster: cluster, Instance: instance}, 0, now, ttl)
}

// SignRegistered signs a member's certificate that says at which incarnation its
// cluster was registered then: when a cluster is removed, what was made for it
// up to its last incarnation is good for nothing (IncarnationOf). Zero is not
// said. Of the request only the public key is used.
func (c *CA) SignRegistered(csrPEM []byte, member flow.Member, incarnation uint64, now time.Time, ttl time.Duration) ([]byte, error) {
	pub, err := PublicKey(csrPEM)
	if err != nil {
		return nil, err
	}
	return c.sign(pub, MemberID(c.trustDomain, member.Cluster, member.Instance), incarnation, nil, now, ttl)
}

// ReplicaCert makes a key and a certificate for one replica, valid for the
// given host names and addresses beside its SPIFFE name.
func (c *CA) ReplicaCert(replica string, hosts []string, now time.Time, ttl time.Duration) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fault.Wrap(fault.Internal, err, "make key of replica %s", replica)
	}
	certPEM, err := c.sign(&key.PublicKey, ReplicaID(c.trustDomain, replica), 0, hosts, now, ttl)
	if err != nil {
		return tls.Certificate{}, err
	}
	cert, err := parseCert(certPEM)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}, nil
}

func (c *CA) sign(pub crypto.PublicKey, id ID, incarnation uint64, hosts []string, now time.Time, ttl time.Duration) ([]byte, error) {
	if err := id.Check(); err != nil {
		return nil, err
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		SerialNumber: serial,
		Subject:      subject(incarnation),
		NotBefore:    now.Add(-min(backdate, ttl)), // a short one would be due for renewal at once
		NotAfter:     now.Add(ttl),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		URIs:         []*url.URL{id.URI()},
	}
	if id.IsReplica() {
		t.ExtKeyUsage = append(t.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
		for _, h := range hosts {
			if ip := net.ParseIP(h); ip != nil {
				t.IPAddresses = append(t.IPAddresses, ip)
			} else {
				t.DNSNames = append(t.DNSNames, h)
			}
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, c.cert, pub, c.key)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "sign certificate of %s", id)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

func selfSign(key *ecdsa.PrivateKey, trustDomain string, now time.Time) ([]byte, error) {
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{Organization: []string{"Skein"}, CommonName: "Skein CA " + trustDomain},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(caLife),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		URIs:                  []*url.URL{{Scheme: "spiffe", Host: trustDomain}},
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "sign CA certificate")
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

func newSerial() (*big.Int, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	return serial, fault.Wrap(fault.Internal, err, "draw a serial number")
}
