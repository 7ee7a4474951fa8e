package member

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/skein-project/skein/api/fault"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/federation/identity"
)

const (
	keyFile  = "member.key"
	certFile = "member.crt"
	joinWait = 10 * time.Second
)

// wallet holds the member's key and certificate, in memory and in a folder.
type wallet struct {
	dir         string
	pool        *x509.CertPool
	trustDomain string
	instance    string
	cert        atomic.Pointer[tls.Certificate]
	key         []byte
	dial        []grpc.DialOption
}

// openWallet reads the folder; it makes the key if there is none.
func openWallet(o Options) (*wallet, error) {
	trustDomain, err := identity.TrustDomainOf(o.CA)
	if err != nil {
		return nil, err
	}
	w := &wallet{dir: o.StateDir, pool: x509.NewCertPool(), trustDomain: trustDomain, instance: o.Instance, dial: o.DialOptions}
	if !w.pool.AppendCertsFromPEM(o.CA) {
		return nil, fault.E(fault.Invalid, "the CA bundle holds no certificate")
	}
	if err := os.MkdirAll(w.dir, 0o700); err != nil {
		return nil, fault.Wrap(fault.Internal, err, "make state folder")
	}
	w.key, err = os.ReadFile(filepath.Join(w.dir, keyFile))
	if errors.Is(err, fs.ErrNotExist) {
		if w.key, err = identity.NewKeyPEM(); err == nil {
			err = w.write(keyFile, w.key)
		}
	}
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "open the member's key")
	}
	if certPEM, err := os.ReadFile(filepath.Join(w.dir, certFile)); err == nil {
		// One that cannot be read or is another's is as good as none.
		_ = w.take(certPEM)
	}
	return w, nil
}

// take uses a certificate if it is this instance's, of the authority that we
// know. Whether it is valid now is asked when it is shown.
func (w *wallet) take(certPEM []byte) error {
	pair, err := identity.KeyPair(certPEM, w.key)
	if err != nil {
		return err
	}
	_, err = pair.Leaf.Verify(x509.VerifyOptions{
		Roots: w.pool, CurrentTime: pair.Leaf.NotAfter, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return fault.Wrap(fault.Unauthorized, err, "the certificate is not of this control plane")
	}
	id, err := identity.FromCertificate(pair.Leaf, w.trustDomain)
	if err != nil {
		return err
	}
	if !id.IsMember() || id.Instance != w.instance {
		return fault.E(fault.Unauthorized, "the certificate is of %s, not of instance %s", id, w.instance)
	}
	w.cert.Store(pair)
	return nil
}

func (w *wallet) valid() bool {
	c := w.cert.Load()
	return c != nil && time.Now().Before(c.Leaf.NotAfter)
}

// shown is the certificate that hubs are shown: none once it has expired, for
// a hub ends a handshake over it, and who has none may still join.
func (w *wallet) shown() *tls.Certificate {
	if !w.valid() {
		return nil
	}
	return w.cert.Load()
}

// cluster is the one that the certificate names.
func (w *wallet) cluster() string {
	id, err := identity.FromCertificate(w.cert.Load().Leaf, w.trustDomain)
	if err != nil {
		return ""
	}
	return id.Cluster
}

// write replaces a file whole, with mode 0600.
func (w *wallet) write(name string, data []byte) error {
	tmp, err := os.CreateTemp(w.dir, ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), filepath.Join(w.dir, name))
}

// connect dials a hub anew; the connection is the caller's to close.
func (w *wallet) connect(addr string) (*grpc.ClientConn, error) {
	conf := identity.ClientTLS(w.shown, w.pool, w.trustDomain)
	opts := append([]grpc.DialOption{
		grpc.WithTransportCredentials(credentials.NewTLS(conf)),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)),
	}, w.dial...)
	conn, err := grpc.NewClient(addr, opts...)
	return conn, fault.Wrap(fault.Invalid, err, "dial %s", addr)
}

// join exchanges the token for a certificate.
func (w *wallet) join(ctx context.Context, addr, token string) error {
	csr, err := identity.NewCSR(w.key)
	if err != nil {
		return err
	}
	return w.fetch(ctx, addr, func(ctx context.Context, c skeinv1.DataPlaneServiceClient) (string, error) {
		r, err := c.Join(ctx, &skeinv1.JoinRequest{Token: token, Csr: string(csr), Instance: w.instance})
		return r.GetCertificate(), err
	})
}

// renew exchanges the certificate for a new one.
func (w *wallet) renew(ctx context.Context, addr string) error {
	csr, err := identity.NewCSR(w.key)
	if err != nil {
		return err
	}
	return w.fetch(ctx, addr, func(ctx context.Context, c skeinv1.DataPlaneServiceClient) (string, error) {
		r, err := c.Renew(ctx, &skeinv1.RenewRequest{Csr: string(csr)})
		return r.GetCertificate(), err
	})
}

func (w *wallet) fetch(ctx context.Context, addr string, call func(context.Context, skeinv1.DataPlaneServiceClient) (string, error)) error {
	ctx, cancel := context.WithTimeout(ctx, joinWait)
	defer cancel()
	conn, err := w.connect(addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	cert, err := call(ctx, skeinv1.NewDataPlaneServiceClient(conn))
	if err != nil {
		return err
	}
	had := w.cert.Load()
	if err := w.take([]byte(cert)); err != nil {
		return err
	}
	if had != nil && w.cert.Load().Leaf.NotBefore.Before(had.Leaf.NotBefore) { // a used token gives what it gave before
		w.cert.Store(had)
		return nil
	}
	return fault.Wrap(fault.Internal, w.write(certFile, []byte(cert)), "store the certificate")
}
