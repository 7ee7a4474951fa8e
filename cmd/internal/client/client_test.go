package client

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skein-project/skein/api/fault"
)

func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte("flyte: h:1\nproject: p\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Read(path, true)
	if err != nil || c.Flyte != "h:1" || c.Project != "p" || c.Domain != "development" {
		t.Fatalf("read %+v, %v", c, err)
	}
	if c, err := Read(path+".none", false); err != nil || c.Flyte != Default().Flyte || c.Skein != "" {
		t.Errorf("a missing file gave %+v, %v", c, err)
	}
}

func TestTheTokenNeedsTLS(t *testing.T) {
	dir := t.TempDir()
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		config Config
		want   string
	}{
		{"no address", Config{TokenFile: token}, "skein"},
		{"no token", Config{Skein: "h:1", TokenFile: filepath.Join(dir, "none")}, "tokenFile"},
		{"no such CA", Config{Skein: "h:1", TokenFile: token, CA: filepath.Join(dir, "none")}, "ca"},
		{"a CA that is none", Config{Skein: "h:1", TokenFile: token, CA: token}, "ca"},
	} {
		if _, err := c.config.DialSkein(); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an Invalid error that names %s", c.name, err, c.want)
		}
	}
	if !(bearer{token: "x"}).RequireTransportSecurity() {
		t.Error("the token would be sent without TLS")
	}
}

// TestTheOperatorIsNamedInAHeader: the audit's word for who calls must be one
// that gRPC takes.
func TestTheOperatorIsNamedInAHeader(t *testing.T) {
	md, err := bearer{"secret", operator()}.GetRequestMetadata(t.Context())
	name := md[OperatorHeader]
	if err != nil || name == "" || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' }) {
		t.Errorf("the operator is %q, %v", name, err)
	}
}
