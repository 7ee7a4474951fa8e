package database

import (
	"context"
	"errors"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/skein-project/skein/deploy/local/certs"
	"github.com/skein-project/skein/deploy/local/proc"
)

// prepareCockroach makes the certificates that CockroachDB looks for by name and says how to start one node.
func prepareCockroach(_ context.Context, found binaries, o Options) (server, error) {
	dir := filepath.Join(o.Dir, "certs")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return server{}, err
	}
	ca, caFiles, err := certs.EnsureCA(dir, "ca")
	if err != nil {
		return server{}, err
	}
	_, nodeErr := ca.EnsureLeaf(dir, "node", certs.Leaf{CommonName: "node", Hosts: []string{loopback, "localhost"}})
	root, rootErr := ca.EnsureLeaf(dir, "client.root", certs.Leaf{CommonName: "root"})
	if err := errors.Join(nodeErr, rootErr); err != nil {
		return server{}, err
	}
	query := url.Values{"sslmode": {"verify-full"}, "sslrootcert": {caFiles.Cert}, "sslcert": {root.Cert}, "sslkey": {root.Key}}
	args := []string{
		"start-single-node", "--certs-dir=" + dir, "--store=path=" + filepath.Join(o.Dir, "cockroach"),
		"--listen-addr=" + net.JoinHostPort(loopback, strconv.Itoa(o.Port)), "--http-addr=" + loopback + ":0",
		"--cache=256MiB", "--max-sql-memory=256MiB",
	}
	return server{
		engine: "cockroach",
		url:    serverURL(url.User("root"), o.Port, "defaultdb", query.Encode()),
		spec:   proc.Spec{Path: found.cockroach, Args: args, Grace: 20 * time.Second},
	}, nil
}
