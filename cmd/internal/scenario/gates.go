package scenario

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/skein-project/skein/api/fault"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/chaos/script"
	"github.com/skein-project/skein/cmd/internal/config"
	"github.com/skein-project/skein/cmd/internal/local"
	"github.com/skein-project/skein/federation/identity"
)

// gates is script.Gates: operators who let clusters in, and intruders.
type gates struct{ *World }

// knock bounds one call of an intruder.
const knock = 5 * time.Second

// Join does what an operator does with two terminals: one registers the cluster,
// the other runs the line that the first one shows.
func (g gates) Join(ctx context.Context, cluster string) (begun time.Time, err error) {
	plane, err := g.federation.Prepare(ctx, local.Cluster{Name: cluster, Labels: map[string]string{"name": cluster}})
	if err != nil {
		return begun, err
	}
	out, err := g.command(ctx, "cluster", "register", cluster, "--label", "name="+cluster)
	if err != nil {
		return begun, fmt.Errorf("%w: %s", err, out)
	}
	line, token := joinLine(out)
	if token == "" {
		return begun, fault.E(fault.Invalid, "skein cluster register printed no line to run: %s", out)
	}
	g.tokens[cluster] = token
	begun = time.Now()
	return begun, g.federation.Join(ctx, plane, line)
}

// joinLine is the indented line of a command's output, and the token in it.
func joinLine(out string) (line, token string) {
	for text := range strings.Lines(out) {
		if text = strings.TrimRight(text, "\n"); strings.HasPrefix(text, "  ") && strings.Contains(text, "skein-propeller") {
			line = strings.TrimSpace(text)
			_, rest, _ := strings.Cut(line, "JOIN_TOKEN=")
			token, _, _ = strings.Cut(rest, " ")
		}
	}
	return line, token
}

// Intrude tries one way to get in.
func (g gates) Intrude(ctx context.Context, way, cluster string) error {
	replica := g.federation.Replicas[0].Federation()
	switch way {
	case "used-token":
		return g.joinBy(ctx, replica, g.tokens[cluster])
	case "expired-token":
		answer, err := g.clusters.RegisterCluster(ctx, &skeinv1.RegisterClusterRequest{Name: cluster, TokenTtl: durationpb.New(time.Nanosecond)})
		if err != nil {
			return fmt.Errorf("no token could be made: %w", err)
		}
		return g.joinBy(ctx, replica, answer.GetJoinToken())
	case "wrong-ca":
		forged, err := g.forge(cluster)
		if err != nil {
			return err
		}
		return g.renewBy(ctx, replica, forged)
	case "revoked":
		own, err := g.member(cluster)
		if err != nil {
			return err
		}
		return g.renewBy(ctx, replica, own)
	}
	return fault.E(fault.Invalid, "there is no way %q", way)
}

// Revoke revokes all members.
func (g gates) Revoke(ctx context.Context, cluster string) (time.Time, error) {
	_, err := g.clusters.RevokeMember(ctx, &skeinv1.RevokeMemberRequest{Cluster: cluster})
	return time.Now(), err
}

// Renew asks a replica by the member's own certificate, past all proxies.
func (g gates) Renew(ctx context.Context, cluster, replica string) error {
	own, err := g.member(cluster)
	if err != nil {
		return err
	}
	for _, r := range g.federation.Replicas {
		if r.Name == replica {
			return g.renewBy(ctx, r.Federation(), own)
		}
	}
	return fault.E(fault.Invalid, "there is no replica %q", replica)
}

// Sessions reads what the replicas' logs say.
func (g gates) Sessions(context.Context) (out []script.Opened, err error) {
	for _, r := range g.federation.Replicas {
		raw, err := os.ReadFile(r.LogPath())
		if err != nil {
			return nil, err
		}
		lines := bufio.NewScanner(bytes.NewReader(raw))
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var line struct {
				Time            time.Time
				Cluster, Serial string
			}
			if bytes.Contains(lines.Bytes(), []byte(`"session opened"`)) && json.Unmarshal(lines.Bytes(), &line) == nil {
				out = append(out, script.Opened{At: line.Time, Cluster: line.Cluster, Serial: line.Serial})
			}
		}
		if err := lines.Err(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// joinBy asks for a certificate by a token, with a new key.
func (g gates) joinBy(ctx context.Context, address, token string) error {
	_, csr, err := newKey()
	if err != nil {
		return err
	}
	return g.call(ctx, address, nil, func(ctx context.Context, road skeinv1.DataPlaneServiceClient) error {
		_, err := road.Join(ctx, &skeinv1.JoinRequest{Token: token, Csr: string(csr), Instance: "intruder"})
		return err
	})
}

// renewBy asks for a new certificate by one that is there.
func (g gates) renewBy(ctx context.Context, address string, own *tls.Certificate) error {
	_, csr, err := newKey()
	if err != nil {
		return err
	}
	return g.call(ctx, address, own, func(ctx context.Context, road skeinv1.DataPlaneServiceClient) error {
		_, err := road.Renew(ctx, &skeinv1.RenewRequest{Csr: string(csr)})
		return err
	})
}

func (g gates) call(ctx context.Context, address string, own *tls.Certificate, do func(context.Context, skeinv1.DataPlaneServiceClient) error) error {
	bundle, err := os.ReadFile(filepath.Join(g.federation.State(), "keys", "ca.crt"))
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(bundle)
	tlsConfig := identity.ClientTLS(func() *tls.Certificate { return own }, pool, trustDomain)
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(credentials.NewTLS(tlsConfig)))
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, knock)
	defer cancel()
	return do(ctx, skeinv1.NewDataPlaneServiceClient(conn))
}

// trustDomain is what local federations leave it at.
var trustDomain = config.DefaultAdmin().TrustDomain

// forge makes a member's certificate by an authority of the intruder's own.
func (g gates) forge(cluster string) (*tls.Certificate, error) {
	dir, err := os.MkdirTemp(g.federation.State(), "intruder-")
	if err != nil {
		return nil, err
	}
	authority, err := identity.OpenCA(filepath.Join(dir, "ca.key"), filepath.Join(dir, "ca.crt"), trustDomain, time.Now())
	if err != nil {
		return nil, err
	}
	key, csr, err := newKey()
	if err != nil {
		return nil, err
	}
	cert, err := authority.SignMember(csr, cluster, cluster+"-0", time.Now(), time.Hour)
	if err != nil {
		return nil, err
	}
	return identity.KeyPair(cert, key)
}

// member is the certificate of a cluster's propeller, out of its own folder.
func (g gates) member(cluster string) (*tls.Certificate, error) {
	plane, err := planes(g).find(cluster)
	if err != nil {
		return nil, err
	}
	cert, certErr := os.ReadFile(filepath.Join(plane.Folder(), "member.crt"))
	key, keyErr := os.ReadFile(filepath.Join(plane.Folder(), "member.key"))
	if err := errors.Join(certErr, keyErr); err != nil {
		return nil, err
	}
	return identity.KeyPair(cert, key)
}

func newKey() (key, csr []byte, err error) {
	if key, err = identity.NewKeyPEM(); err != nil {
		return nil, nil, err
	}
	csr, err = identity.NewCSR(key)
	return key, csr, err
}
