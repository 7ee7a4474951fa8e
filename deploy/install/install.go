// Package install renders what a member needs in its cluster, as one list of
// objects: definitions, roles, the process, its configuration and its token.
//
// It applies nothing and knows no cluster: `skein cluster register --manifest`
// prints the list, and skein-capi applies it. Invariant: the objects hold no
// credential but the one-time token of the member itself.
package install

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"text/template"

	_ "embed"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	k8syaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/skein-project/skein/deploy/crd"
	"github.com/skein-project/skein/deploy/kustomize/propeller"
)

// Namespace is where a member lives.
const Namespace = "skein-system"

// Member is what differs between members. All fields but Token and StorageClass
// are needed.
type Member struct {
	Cluster string // as it was registered
	Image   string // that holds skein-propeller
	// Config is skein-propeller.yaml without joinToken and instance, which come by
	// environment variables.
	Config []byte
	CA     string // PEM
	// Token is used once; empty: the member has joined, and its secret stays as it
	// is.
	Token        string
	StorageClass string // of the small volume that holds the certificate; empty: the cluster's default
}

//go:embed member.yaml
var text string

var manifest = template.Must(template.New("member").Funcs(template.FuncMap{"quote": quote, "indent": indent}).Parse(text))

// quote is a YAML string, which a JSON string is.
func quote(s string) string { return fmt.Sprintf("%q", s) }

// indent is the lines of a block scalar.
func indent(n int, s string) string {
	pad := string(bytes.Repeat([]byte{' '}, n))
	return pad + string(bytes.ReplaceAll(bytes.TrimRight([]byte(s), "\n"), []byte("\n"), []byte("\n"+pad)))
}

// Paths and names inside the member's pod.
const (
	ConfigFolder = "/etc/skein"
	StateFolder  = "/var/lib/skein"
	CAFile       = ConfigFolder + "/ca.crt"
)

// YAML is the whole manifest, in the order in which it is to be applied.
func YAML(m Member) ([]byte, error) {
	var out bytes.Buffer
	for _, part := range [][]byte{crd.FlyteWorkflows, crd.Fences, propeller.RBAC, propeller.Fence} {
		out.Write(bytes.TrimSpace(part))
		out.WriteString("\n---\n")
	}
	if err := manifest.Execute(&out, struct {
		Member
		Namespace, ConfigFolder, StateFolder string
		ConfigText                           string
	}{m, Namespace, ConfigFolder, StateFolder, string(m.Config)}); err != nil {
		return nil, fmt.Errorf("render the member's manifest: %w", err)
	}
	return out.Bytes(), nil
}

// Objects is YAML as objects.
func Objects(m Member) ([]*unstructured.Unstructured, error) {
	raw, err := YAML(m)
	if err != nil {
		return nil, err
	}
	var list []*unstructured.Unstructured
	reader := k8syaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(raw)))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read the member's manifest: %w", err)
		}
		o := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(document, &o.Object); err != nil {
			return nil, fmt.Errorf("read the member's manifest: %w", err)
		}
		if len(o.Object) > 0 {
			list = append(list, o)
		}
	}
}
