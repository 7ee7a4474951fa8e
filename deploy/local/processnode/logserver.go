package processnode

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/skein-project/skein/deploy/local/processnode/logs"
)

// logServer is the part of a kubelet's server that `kubectl logs` needs.
type logServer struct {
	agent    *Agent
	listener net.Listener
	server   *http.Server
	token    string
}

// newLogServer listens on a free loopback port.
func newLogServer(a *Agent) (*logServer, error) {
	config := a.opts.TLSConfig.Clone()
	if config == nil {
		certificate, err := selfSigned(a.opts.NodeName)
		if err != nil {
			return nil, fmt.Errorf("make certificate for logs: %w", err)
		}
		config = &tls.Config{Certificates: []tls.Certificate{certificate}}
	}
	config.MinVersion = tls.VersionTLS12
	if config.ClientCAs != nil {
		config.ClientAuth = tls.VerifyClientCertIfGiven
	}
	token := make([]byte, 32)
	_, _ = rand.Read(token) // never fails
	s := &logServer{agent: a, token: hex.EncodeToString(token)}
	if err := os.WriteFile(filepath.Join(a.opts.Dir, "log-token"), []byte(s.token), 0o600); err != nil {
		return nil, fmt.Errorf("write token for logs: %w", err)
	}
	var err error
	if s.listener, err = tls.Listen("tcp", net.JoinHostPort(localhost, "0"), config); err != nil {
		return nil, fmt.Errorf("listen for logs: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", s.serveLogs)
	s.server = &http.Server{Handler: s.authenticated(mux), ReadHeaderTimeout: 10 * time.Second}
	return s, nil
}

func (s *logServer) port() int32 { return int32(s.listener.Addr().(*net.TCPAddr).Port) }

// serve serves until close.
func (s *logServer) serve() {
	if err := s.server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		s.agent.log.Warn("logs are no longer served", "error", err)
	}
}

// close ends all requests, also those that follow a log.
func (s *logServer) close() {
	_ = s.server.Close() // nothing to be done about it
	_ = s.listener.Close()
}

func (s *logServer) authenticated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		want := "Bearer " + s.token
		byToken := subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte(want)) == 1
		byCertificate := r.TLS != nil && len(r.TLS.VerifiedChains) > 0
		if !byToken && !byCertificate {
			http.Error(w, "a client certificate or the token in <agent's folder>/log-token is needed", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *logServer) serveLogs(w http.ResponseWriter, r *http.Request) {
	query, err := logs.ReadQuery(r.URL.Query(), time.Now())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	run, name := s.agent.find(r.PathValue("namespace"), r.PathValue("pod")), r.PathValue("container")
	if run == nil || !run.has(name) {
		http.Error(w, fmt.Sprintf("container %q of pod %q is not on this node", name, r.PathValue("pod")), http.StatusNotFound)
		return
	}
	path := s.agent.folder(run.pod, name).Log()
	if query.Previous {
		path = logs.Previous(path)
	}
	if _, err := os.Stat(path); err != nil {
		http.Error(w, fmt.Sprintf("container %q of pod %q has no such log", name, r.PathValue("pod")), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	flush := func() { _ = http.NewResponseController(w).Flush() } // the next write fails too
	err = query.Copy(r.Context(), path, w, func() bool { return run.running(name) }, flush)
	if err != nil && r.Context().Err() == nil {
		s.agent.log.Warn("log not served to its end", "pod", run.pod.Namespace+"/"+run.pod.Name, "error", err)
	}
}

// has tells whether the pod has a container of this name.
func (r *run) has(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.view.states[name]
	return ok
}

func (r *run) running(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.view.states[name].State.Running != nil
}

// selfSigned makes a certificate that nobody can check: API servers accept it
// unless they are given an authority for kubelets.
func selfSigned(name string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "system:node:" + name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, DNSNames: []string{name, "localhost"},
		IPAddresses: []net.IP{net.ParseIP(localhost)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
