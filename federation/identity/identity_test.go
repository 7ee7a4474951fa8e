package identity_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/federation/identity"
)

const td = "skein.test"

func openCA(t *testing.T, dir string) *identity.CA {
	t.Helper()
	ca, err := identity.OpenCA(filepath.Join(dir, "ca.key"), filepath.Join(dir, "ca.crt"), td, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func TestReplicasThatStartAtOnceShareOneCA(t *testing.T) {
	dir := t.TempDir()
	bundles := make([][]byte, 8)
	var wg sync.WaitGroup
	for i := range bundles {
		wg.Go(func() { bundles[i] = openCA(t, dir).Bundle() })
	}
	wg.Wait()
	for _, b := range bundles {
		if !bytes.Equal(b, bundles[0]) {
			t.Fatal("two replicas made two authorities")
		}
	}
	for _, f := range []string{"ca.key", "ca.crt"} {
		if info, err := os.Stat(filepath.Join(dir, f)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v; want 0600", f, info.Mode(), err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".new-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if got, err := identity.TrustDomainOf(bundles[0]); err != nil || got != td {
		t.Errorf("the bundle names trust domain %q, %v", got, err)
	}
}

func TestACertificateNamesWhomWeSay(t *testing.T) {
	ca := openCA(t, t.TempDir())
	key, err := identity.NewKeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	csr, err := identity.NewCSR(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM, err := ca.SignMember(csr, "east", "prop-0", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := identity.KeyPair(certPEM, key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: ca.Pool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Error(err)
	}
	id, err := identity.FromCertificate(pair.Leaf, td)
	if err != nil || id.String() != "spiffe://skein.test/cluster/east/member/prop-0" {
		t.Errorf("identity %s, %v", id, err)
	}
	if _, err := identity.FromCertificate(pair.Leaf, "other.test"); !fault.Is(err, fault.Unauthorized) {
		t.Errorf("of another trust domain: %v", err)
	}
	if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: ca.Pool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}); err == nil {
		t.Error("a member's certificate is good for a server")
	}
	for _, bad := range []string{"", "UP", "a/b", "-a", "a b"} {
		if _, err := ca.SignMember(csr, bad, "prop-0", time.Now(), time.Hour); !fault.Is(err, fault.Invalid) {
			t.Errorf("cluster %q: %v, want Invalid", bad, err)
		}
	}
}

// By it the certificates of a removed cluster are told from those of the next
// one of its name; no request can choose it.
func TestACertificateSaysAtWhichIncarnationItWasMade(t *testing.T) {
	ca := openCA(t, t.TempDir())
	key, err := identity.NewKeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(key)
	signer, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.CertificateRequest{Subject: pkix.Name{OrganizationalUnit: []string{"incarnation 99"}}}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, signer)
	if err != nil {
		t.Fatal(err)
	}
	csr := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
	for _, want := range []uint64{0, 1, 1 << 60} {
		certPEM, err := ca.SignRegistered(csr, flow.Member{Cluster: "east", Instance: "prop-0"}, want, time.Now(), time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		pair, err := identity.KeyPair(certPEM, key)
		if err != nil {
			t.Fatal(err)
		}
		if got := identity.IncarnationOf(pair.Leaf); got != want {
			t.Errorf("it says %d, want %d", got, want)
		}
		if id, err := identity.FromCertificate(pair.Leaf, td); err != nil || id != identity.MemberID(td, "east", "prop-0") {
			t.Errorf("identity %s, %v", id, err)
		}
	}
}

func TestARequestMustBeSignedByItsKey(t *testing.T) {
	key, _ := identity.NewKeyPEM()
	csr, _ := identity.NewCSR(key)
	block, _ := pem.Decode(csr)
	block.Bytes[len(block.Bytes)-1] ^= 1
	for name, bad := range map[string][]byte{"forged": pem.EncodeToMemory(block), "empty": nil, "a key": key} {
		if _, err := identity.PublicKey(bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v, want Invalid", name, err)
		}
	}
}

func TestOperatorServicesNeedTheToken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	op, err := identity.OpenOperatorToken(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := identity.OpenOperatorToken(path); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	good := "Bearer " + string(bytes.TrimSpace(data))
	g := identity.Guard{TrustDomain: td, Operator: op}
	for _, tc := range []struct {
		method, auth string
		kind         fault.Kind
		ok           bool
	}{
		{"/skein.v1.ClusterService/RegisterCluster", good, 0, true},
		{"/skein.v1.ClusterService/RegisterCluster", strings.Replace(good, "Bearer", "bearer", 1), 0, true},
		{"/skein.v1.ClusterService/RegisterCluster", "Bearer wrong", fault.Unauthorized, false},
		{"/skein.v1.ClusterService/RegisterCluster", strings.TrimPrefix(good, "Bearer "), fault.Unauthorized, false},
		{"/skein.v1.PlacementService/Explain", "Bearer ", fault.Unauthorized, false},
		{"/skein.v1.PlacementService/Explain", "", fault.Unauthorized, false},
		{"/skein.v1.PeerService/Beat", good, fault.Unauthorized, false},
		{"/skein.v1.DataPlaneService/Connect", good, fault.Unauthorized, false},
		{"/skein.v1.DataPlaneService/Join", "", 0, true},
		{"/flyteidl.service.AdminService/GetExecution", "", 0, true},
	} {
		ctx := metadata.NewIncomingContext(context.Background(), metadata.Pairs("authorization", tc.auth))
		if err := g.Check(ctx, tc.method); (err == nil) != tc.ok || err != nil && !fault.Is(err, tc.kind) {
			t.Errorf("%s with %q: %v", tc.method, tc.auth, err)
		}
	}
	ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs("authorization", good))
	if err := (identity.Guard{}).Check(ctx, "/skein.v1.ClusterService/GetCluster"); !fault.Is(err, fault.Forbidden) {
		t.Errorf("without a configured token: %v, want nobody to be let in", err)
	}
}

func TestJoinTokens(t *testing.T) {
	token, hash, err := identity.NewJoinToken()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := identity.JoinTokenHash(token + "\n"); err != nil || !bytes.Equal(got, hash) {
		t.Errorf("hash %x, %v; want %x", got, err, hash)
	}
	for _, bad := range []string{"", "skein-join-", "skein-join-abc", token[1:], token + "A"} {
		if _, err := identity.JoinTokenHash(bad); !fault.Is(err, fault.Unauthorized) {
			t.Errorf("%q: %v, want Unauthorized", bad, err)
		}
	}
}

func TestRenewalIsDueAtTwoThirds(t *testing.T) {
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	cert := &x509.Certificate{NotBefore: from, NotAfter: from.Add(24 * time.Hour)}
	if got := identity.RenewAt(cert); !got.Equal(from.Add(16 * time.Hour)) {
		t.Errorf("due at %s", got)
	}
}
