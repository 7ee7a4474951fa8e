package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/skein-project/skein/api/fault"
)

// NewKeyPEM makes a private key (ECDSA P-256), as PEM.
func NewKeyPEM() ([]byte, error) { return newKeyPEM() }

// NewCSR makes a certificate request for a private key. It names nobody: the
// authority uses only its public key.
func NewCSR(keyPEM []byte) ([]byte, error) {
	key, err := parseKey(keyPEM)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "make certificate request")
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), nil
}

// PublicKey reads a request's public key, after checking that whoever made the
// request holds the private one. Invalid if it is no such request.
func PublicKey(csrPEM []byte) (crypto.PublicKey, error) {
	block, _ := pem.Decode(csrPEM)
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return nil, fault.Field("csr", "want a PEM certificate request")
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, fault.Field("csr", "want a PEM certificate request")
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, fault.Field("csr", "is not signed by its own key")
	}
	key, ok := csr.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, fault.Field("csr", "want an ECDSA P-256 key")
	}
	return key, nil
}

// KeyHash is the SHA-256 of a request's public key.
func KeyHash(csrPEM []byte) ([]byte, error) {
	pub, err := PublicKey(csrPEM)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, fault.Field("csr", "holds a key that cannot be written")
	}
	sum := sha256.Sum256(der)
	return sum[:], nil
}

// KeyPair reads a certificate and its key.
func KeyPair(certPEM, keyPEM []byte) (*tls.Certificate, error) {
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "read certificate and key")
	}
	if pair.Leaf == nil {
		if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "read certificate")
		}
	}
	return &pair, nil
}

func newKeyPEM() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "make a key")
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "write a key")
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func parseKey(keyPEM []byte) (*ecdsa.PrivateKey, error) {
	block, _ := pem.Decode(keyPEM)
	if block == nil {
		return nil, fault.E(fault.Invalid, "want a PEM private key")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		if parsed, err = x509.ParseECPrivateKey(block.Bytes); err != nil {
			return nil, fault.E(fault.Invalid, "want a PEM private key")
		}
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, fault.E(fault.Invalid, "want an ECDSA P-256 key")
	}
	return key, nil
}

func parseCert(certPEM []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(certPEM)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, fault.E(fault.Invalid, "want a PEM certificate")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	return cert, fault.Wrap(fault.Invalid, err, "read certificate")
}

// readOrMake reads a file, or makes it so that it appears whole, once, with
// mode 0600: it is written under another name (O_EXCL) and linked. A link,
// unlike a rename, never replaces what another process made meanwhile.
func readOrMake(path string, contents func() ([]byte, error)) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return data, fault.Wrap(fault.Internal, err, "read %s", path)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fault.Wrap(fault.Internal, err, "make folder of %s", path)
	}
	fresh, err := contents()
	if err != nil {
		return nil, err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".new-*") // O_EXCL, 0600
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "write %s", path)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(fresh)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return nil, fault.Wrap(fault.Internal, err, "write %s", path)
	}
	if err := os.Link(tmp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fault.Wrap(fault.Internal, err, "write %s", path)
	}
	data, err = os.ReadFile(path)
	return data, fault.Wrap(fault.Internal, err, "read %s", path)
}
