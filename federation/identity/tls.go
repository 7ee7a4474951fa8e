package identity

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"time"

	"google.golang.org/grpc/credentials"

	"github.com/skein-project/skein/api/fault"
)

// A Source gives the certificate to show now; it may change between calls, and
// be nil where showing none is allowed.
type Source func() *tls.Certificate

// Fixed is a source of one certificate.
func Fixed(cert tls.Certificate) Source { return func() *tls.Certificate { return &cert } }

// ServerTLS is for the control plane's listener. A client certificate is asked
// for and verified if shown; which methods need one is checked for each call
// (Guard), since Join and Flyte's API come without.
func ServerTLS(own Source, pool *x509.CertPool) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		ClientAuth: tls.VerifyClientCertIfGiven,
		ClientCAs:  pool,
		NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			if cert := own(); cert != nil {
				return cert, nil
			}
			return nil, fault.E(fault.Unavailable, "this replica has no certificate yet")
		},
	}
}

// ServerCredentials are those of ServerTLS for gRPC. What ends a handshake is
// told to failed as well, for gRPC itself says nothing of it.
func ServerCredentials(own Source, pool *x509.CertPool, failed func(remote net.Addr, err error)) credentials.TransportCredentials {
	return listening{credentials.NewTLS(ServerTLS(own, pool)), failed}
}

type listening struct {
	credentials.TransportCredentials
	failed func(net.Addr, error)
}

// ServerHandshake makes the handshake, and tells of one that fails.
func (l listening) ServerHandshake(c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := l.TransportCredentials.ServerHandshake(c)
	if err != nil {
		l.failed(c.RemoteAddr(), err)
	}
	return conn, info, err
}

// Clone is as good as the original.
func (l listening) Clone() credentials.TransportCredentials {
	return listening{l.TransportCredentials.Clone(), l.failed}
}

// ClientTLS is for members and for replicas that call a replica. The server is
// known by its SPIFFE name (any replica of the trust domain), not by the host
// name that was dialled: hubs are reached through front doors and addresses
// that no certificate can foresee.
func ClientTLS(own Source, pool *x509.CertPool, trustDomain string) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		InsecureSkipVerify: true, // replaced by VerifyConnection below
		NextProtos:         []string{"h2"},
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if own != nil {
				if cert := own(); cert != nil {
					return cert, nil
				}
			}
			return &tls.Certificate{}, nil
		},
		VerifyConnection: func(cs tls.ConnectionState) error {
			return verifyReplica(cs, pool, trustDomain)
		},
	}
}

func verifyReplica(cs tls.ConnectionState, pool *x509.CertPool, trustDomain string) error {
	if len(cs.PeerCertificates) == 0 {
		return fault.E(fault.Unauthorized, "the server shows no certificate")
	}
	inter := x509.NewCertPool()
	for _, c := range cs.PeerCertificates[1:] {
		inter.AddCert(c)
	}
	leaf := cs.PeerCertificates[0]
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: pool, Intermediates: inter,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return fault.Wrap(fault.Unauthorized, err, "verify the server's certificate")
	}
	id, err := FromCertificate(leaf, trustDomain)
	if err != nil {
		return err
	}
	if !id.IsReplica() {
		return fault.E(fault.Unauthorized, "the server is %s, not a replica of the control plane", id)
	}
	return nil
}

// FromCertificate reads the identity in a certificate that was verified.
func FromCertificate(cert *x509.Certificate, trustDomain string) (ID, error) {
	if len(cert.URIs) != 1 {
		return ID{}, fault.E(fault.Unauthorized, "the certificate names %d identities, want one", len(cert.URIs))
	}
	return Parse(cert.URIs[0], trustDomain)
}

// TrustDomainOf reads the trust domain from a CA bundle that OpenCA made.
func TrustDomainOf(bundlePEM []byte) (string, error) {
	cert, err := parseCert(bundlePEM)
	if err != nil {
		return "", err
	}
	if len(cert.URIs) != 1 || cert.URIs[0].Scheme != "spiffe" || !isName(cert.URIs[0].Host) {
		return "", fault.E(fault.Invalid, "the CA certificate names no trust domain")
	}
	return cert.URIs[0].Host, nil
}

// RenewAt is when a certificate should be renewed: at two thirds of its life.
func RenewAt(cert *x509.Certificate) time.Time {
	life := cert.NotAfter.Sub(cert.NotBefore)
	return cert.NotBefore.Add(life * 2 / 3)
}
