package assemble

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/federation/identity"
)

// hmacBytes is the length of a key that signs upload URLs.
const hmacBytes = 32

// sharedKey reads a key that all replicas share, or makes it: of replicas that
// start at once, one makes it and the others read that one.
func sharedKey(path string) ([]byte, error) {
	for range 2 {
		raw, err := os.ReadFile(path)
		if err == nil {
			key, err := hex.DecodeString(strings.TrimSpace(string(raw)))
			if err != nil || len(key) < hmacBytes {
				return nil, fault.Field("keys.uploadHMAC", "%s is not a key of at least %d bytes in hex", path, hmacBytes)
			}
			return key, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, fault.Wrap(fault.Invalid, err, "keys.uploadHMAC")
		}
		if err := makeKey(path); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fault.Wrap(fault.Invalid, err, "keys.uploadHMAC")
		}
	}
	return nil, fault.Field("keys.uploadHMAC", "%s appears and disappears", path)
}

// makeKey writes a new key whole under its name, or fails with fs.ErrExist.
func makeKey(path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".key-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	key := make([]byte, hmacBytes)
	if _, err := rand.Read(key); err != nil {
		return errors.Join(err, f.Close())
	}
	_, err = f.WriteString(hex.EncodeToString(key) + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Link(f.Name(), path)
}

// replicaCert is a replica's certificate, made anew when it nears its end.
type replicaCert struct {
	ca      *identity.CA
	replica string
	hosts   []string

	mu   sync.Mutex
	cert *tls.Certificate
}

// source gives the certificate to show now.
func (r *replicaCert) source() *tls.Certificate {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if r.cert != nil && now.Before(identity.RenewAt(r.cert.Leaf)) {
		return r.cert
	}
	cert, err := r.ca.ReplicaCert(r.replica, r.hosts, now, identity.DefaultTTL)
	if err != nil {
		return r.cert // the old one is good for another third of its life
	}
	r.cert = &cert
	return r.cert
}
