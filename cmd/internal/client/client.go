// Package client is how the CLI reaches a control plane: its own small
// configuration, and the two connections it needs.
//
// Flyte's API is one connection, open in development; Skein's own API is
// another, always TLS with an operator's token. The package holds no commands
// and prints nothing. Invariant: the token is sent over TLS only.
package client

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"sigs.k8s.io/yaml"

	"github.com/skein-project/skein/api/fault"
)

// Config is the CLI's configuration file.
type Config struct {
	Flyte      string `json:"flyte"`      // host:port of Flyte's gRPC API
	FlyteTLS   bool   `json:"flyteTLS"`   // speak TLS to it
	Skein      string `json:"skein"`      // host:port of Skein's own API (TLS)
	CA         string `json:"ca"`         // PEM bundle that signs it
	ServerName string `json:"serverName"` // name in its certificate; empty: the host
	TokenFile  string `json:"tokenFile"`  // file with the operator's token
	Project    string `json:"project"`
	Domain     string `json:"domain"`

	path string // where it was read from, for messages
}

// Default is the configuration without a file.
func Default() Config {
	return Config{Flyte: "127.0.0.1:8089", Project: "flytesnacks", Domain: "development"}
}

// Path is where the configuration lies: $SKEIN_CONFIG, else in the user's
// configuration folder.
func Path() string {
	if p := os.Getenv("SKEIN_CONFIG"); p != "" {
		return p
	}
	base := os.Getenv("XDG_CONFIG_HOME")
	if base == "" {
		base = filepath.Join(os.Getenv("HOME"), ".config")
	}
	return filepath.Join(base, "skein", "config.yaml")
}

// Read reads the file at path over the defaults. A missing file is no error
// unless it was asked for by name.
func Read(path string, asked bool) (Config, error) {
	c := Default()
	c.path = path
	raw, err := os.ReadFile(path)
	if os.IsNotExist(err) && !asked {
		return c, nil
	}
	if err != nil {
		return c, fault.Wrap(fault.Invalid, err, "configuration %s cannot be read", path)
	}
	if err := yaml.UnmarshalStrict(raw, &c); err != nil {
		why := strings.TrimPrefix(err.Error(), "error unmarshaling JSON: while decoding JSON: json: ")
		return c, fault.E(fault.Invalid, "configuration %s: %s; the keys are %s", path, why, keys)
	}
	return c, nil
}

const keys = "flyte, flyteTLS, skein, ca, serverName, tokenFile, project, domain"

const maxMessage = 64 << 20 // bytes; what lists and data may come to

// DialFlyte connects to Flyte's API.
func (c Config) DialFlyte() (*grpc.ClientConn, error) {
	creds := insecure.NewCredentials()
	if c.FlyteTLS {
		config, err := c.tls()
		if err != nil {
			return nil, err
		}
		creds = credentials.NewTLS(config)
	}
	return dial(c.Flyte, creds)
}

// DialSkein connects to Skein's own API with the operator's token.
func (c Config) DialSkein() (*grpc.ClientConn, error) {
	if c.Skein == "" || c.TokenFile == "" {
		return nil, fault.E(fault.Invalid, "this needs Skein's own API: set skein and tokenFile in %s, or name another configuration by SKEIN_CONFIG (skein demo prints one)", cmp.Or(c.path, Path()))
	}
	config, err := c.tls()
	if err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(c.TokenFile)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "tokenFile %s cannot be read", c.TokenFile)
	}
	return dial(c.Skein, credentials.NewTLS(config), grpc.WithPerRPCCredentials(bearer{strings.TrimSpace(string(raw)), operator()}))
}

func dial(address string, creds credentials.TransportCredentials, opts ...grpc.DialOption) (*grpc.ClientConn, error) {
	opts = append(opts, grpc.WithTransportCredentials(creds), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)))
	conn, err := grpc.NewClient(address, opts...)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "address %q", address)
	}
	return conn, nil
}

func (c Config) tls() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS13, ServerName: c.ServerName}
	if c.CA == "" {
		return config, nil
	}
	raw, err := os.ReadFile(c.CA)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "ca %s cannot be read", c.CA)
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(raw) {
		return nil, fault.E(fault.Invalid, "ca %s holds no certificate", c.CA)
	}
	return config, nil
}

// bearer sends a token with every call, over TLS only, and who holds it.
type bearer struct{ token, operator string }

// GetRequestMetadata adds the token and the operator's name.
func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": fmt.Sprintf("Bearer %s", b.token), OperatorHeader: b.operator}, nil
}

// OperatorHeader is the metadata key that names the operator for the audit.
const OperatorHeader = "skein-operator"

// operator is who runs this program, as the machine knows them: user@host, in
// the characters that a header takes.
func operator() string {
	name := cmp.Or(os.Getenv("USER"), "uid "+strconv.Itoa(os.Getuid()))
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, name)
}

// RequireTransportSecurity refuses connections without TLS.
func (b bearer) RequireTransportSecurity() bool { return true }
