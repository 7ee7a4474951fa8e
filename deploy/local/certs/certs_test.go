package certs_test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"testing"

	"github.com/skein-project/skein/deploy/local/certs"
)

// handshake connects a client to a server over loopback and returns both sides' verdicts.
func handshake(t *testing.T, server, client *tls.Config) (serverErr, clientErr error) {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", server)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	verdict := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			err = conn.(*tls.Conn).Handshake()
			_ = conn.Close()
		}
		verdict <- err
	}()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	clientErr = tls.Client(conn, client).Handshake()
	return <-verdict, clientErr
}

func load(t *testing.T, files certs.Files) []tls.Certificate {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		t.Fatal(err)
	}
	return []tls.Certificate{pair}
}

func TestLeavesAuthenticateBothSidesOfTheirOwnCAOnly(t *testing.T) {
	dir := t.TempDir()
	ca, caFiles, err := certs.EnsureCA(dir, "ca")
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := certs.EnsureCA(dir, "other")
	if err != nil {
		t.Fatal(err)
	}
	server, err := ca.EnsureLeaf(dir, "server", certs.Leaf{CommonName: "server", Hosts: []string{"127.0.0.1", "localhost"}})
	if err != nil {
		t.Fatal(err)
	}
	admin, err := ca.EnsureLeaf(dir, "admin", certs.Leaf{CommonName: "admin", Organizations: []string{"system:masters"}})
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := other.EnsureLeaf(dir, "stranger", certs.Leaf{CommonName: "admin"})
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pem, _ := os.ReadFile(caFiles.Cert)
	pool.AppendCertsFromPEM(pem)
	for _, test := range []struct {
		name           string
		server, client certs.Files
		host           string
		serverOK       bool
		clientOK       bool
	}{
		{"known client, by address", server, admin, "127.0.0.1", true, true},
		{"known client, by name", server, admin, "localhost", true, true},
		{"a name that the server does not have", server, admin, "example.org", false, false},
		{"a client of another CA", server, stranger, "localhost", false, true},
		{"a client's certificate on a server", admin, admin, "localhost", false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			serverErr, clientErr := handshake(t,
				&tls.Config{Certificates: load(t, test.server), ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert},
				&tls.Config{Certificates: load(t, test.client), RootCAs: pool, ServerName: test.host})
			if (serverErr == nil) != test.serverOK || (clientErr == nil) != test.clientOK {
				t.Errorf("server: %v; client: %v", serverErr, clientErr)
			}
		})
	}
}

func TestWhatExistsIsKept(t *testing.T) {
	dir := t.TempDir()
	read := func() string {
		ca, _, err := certs.EnsureCA(dir, "ca")
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := ca.EnsureLeaf(dir, "leaf", certs.Leaf{CommonName: "leaf"})
		if err != nil {
			t.Fatal(err)
		}
		accounts, err := certs.EnsureKeyPair(dir, "sa")
		if err != nil {
			t.Fatal(err)
		}
		text := string(ca.Cert)
		for _, path := range []string{leaf.Cert, leaf.Key, accounts.Cert, accounts.Key} {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			text += string(data)
		}
		info, _ := os.Stat(accounts.Key)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("the key's mode is %v", info.Mode())
		}
		return text
	}
	if first, second := read(), read(); first != second {
		t.Error("the second call made other certificates")
	}
}
