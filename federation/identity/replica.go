package identity

import (
	"crypto/tls"
	"crypto/x509"

	"github.com/skein-project/skein/api/fault"
)

// ReplicaTLS is for connections among replicas, in both directions: either
// side shows a replica's certificate, and lets in nobody who shows another.
func ReplicaTLS(own Source, pool *x509.CertPool, trustDomain string) *tls.Config {
	config := ClientTLS(own, pool, trustDomain)
	config.NextProtos = nil
	config.ClientAuth = tls.RequireAndVerifyClientCert
	config.ClientCAs = pool
	config.GetCertificate = ServerTLS(own, pool).GetCertificate
	config.VerifyConnection = func(cs tls.ConnectionState) error {
		// As a server, the chain has been verified for client use; as a client,
		// verifyReplica verifies it for server use. Replica certificates are
		// good for both, so one check covers either direction.
		if err := verifyReplica(cs, pool, trustDomain); err != nil {
			return fault.Wrap(fault.Unauthorized, err, "connection among replicas")
		}
		return nil
	}
	return config
}
