// Package kubeapi stands between a client of a Kubernetes API server and the
// server, and lets the server seem to fail: it is overloaded, it errs, it has
// done a write and does not say so, it has a conflict, its watches expire.
//
// It is for one client, whose certificate it demands and in whose name it asks
// the server; it forges no object, and what it lets through it does not change.
// Cut links and dead servers are not its business (chaos/inject, deploy/local).
// Invariant: what it answers itself a real API server could have answered, and
// of a request that it refused the server never heard.
package kubeapi

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"

	"github.com/skein-project/skein/chaos/inject"
)

// Options say what the proxy stands before.
type Options struct {
	Server    string            // URL of the API server
	Transport http.RoundTripper // by which the server knows the client
	Cert      tls.Certificate   // that the client is shown
	Clients   *x509.CertPool    // authorities of the client's own certificate
}

// Proxy is one way to one API server. It is an inject.Disturber.
type Proxy struct {
	inject.Troubles
	address string
	server  *http.Server
	forward *httputil.ReverseProxy
	served  sync.WaitGroup

	mu      sync.Mutex
	watches map[*http.Request]context.CancelFunc
}

// headerTime bounds how long a client may take for the head of its request.
const headerTime = 10 * time.Second

// Start opens the proxy on a free port.
func Start(o Options) (*Proxy, error) {
	to, err := url.Parse(o.Server)
	if err != nil {
		return nil, fmt.Errorf("the API server's address: %w", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{address: "https://" + listener.Addr().String(), watches: map[*http.Request]context.CancelFunc{}}
	quiet := log.New(io.Discard, "", 0)
	p.forward = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = to.Host
		},
		Transport: o.Transport, ErrorLog: quiet,
		FlushInterval: -1, // watches
		// A server that cannot be reached gives no answer at all.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	p.server = &http.Server{Handler: http.HandlerFunc(p.serve), ErrorLog: quiet, ReadHeaderTimeout: headerTime, TLSConfig: &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{o.Cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: o.Clients,
	}}
	p.served.Go(func() { _ = p.server.ServeTLS(listener, "", "") }) // until Close
	return p, nil
}

// URL is where the client finds the server.
func (p *Proxy) URL() string { return p.address }

// Disturb begins a trouble, one of Kinds. Expired ends all open watches too.
func (p *Proxy) Disturb(t inject.Trouble) error {
	if err := p.Add(t, Kinds()); err != nil || t.What != Expired {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, end := range p.watches {
		end()
	}
	return nil
}

// Close ends all connections.
func (p *Proxy) Close() error {
	err := p.server.Close()
	p.served.Wait()
	return err
}

func (p *Proxy) serve(w http.ResponseWriter, r *http.Request) {
	switch what := p.Draw(possible(r)...); what {
	case "":
		p.pass(w, r)
	case Lost:
		p.pass(&nobody{header: http.Header{}}, r)
		panic(http.ErrAbortHandler)
	case Late:
		p.pass(&nobody{header: http.Header{}}, r)
		refuse(w, what)
	default:
		refuse(w, what)
	}
}

// pass forwards a request. A watch can be ended meanwhile.
func (p *Proxy) pass(w http.ResponseWriter, r *http.Request) {
	if !isWatch(r) {
		p.forward.ServeHTTP(w, r)
		return
	}
	ctx, end := context.WithCancel(r.Context())
	defer end()
	p.mu.Lock()
	p.watches[r] = end
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.watches, r)
	}()
	p.forward.ServeHTTP(w, r.WithContext(ctx))
}

// nobody takes an answer that its client never gets.
type nobody struct{ header http.Header }

// Header is where the answer's head goes.
func (n *nobody) Header() http.Header { return n.header }

// WriteHeader forgets the code.
func (n *nobody) WriteHeader(int) {}

// Write forgets the body.
func (n *nobody) Write(b []byte) (int, error) { return len(b), nil }
