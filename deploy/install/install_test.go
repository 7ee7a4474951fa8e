package install_test

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/skein-project/skein/deploy/install"
	"github.com/skein-project/skein/deploy/local/apply"
	"github.com/skein-project/skein/deploy/local/localtest"
)

func TestMain(m *testing.M) { localtest.Main(m) }

func member() install.Member {
	return install.Member{Cluster: "eu-1", Image: "example/skein:1", CA: "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
		Config: []byte("cluster: eu-1\nhubs:\n- hub:8443\n"), Token: `a"b: c`}
}

// TestARealServerTakesTheManifest applies it twice: defaults and field types are
// the API server's to judge.
func TestARealServerTakesTheManifest(t *testing.T) {
	config, err := localtest.Cluster(t).RESTConfig()
	if err != nil {
		t.Fatal(err)
	}
	m := member()
	for range 2 {
		raw, err := install.YAML(m)
		if err != nil {
			t.Fatal(err)
		}
		if err := apply.Manifests(t.Context(), config, raw); err != nil {
			t.Fatal(err)
		}
		m.Token = ""
	}
}

func TestObjects(t *testing.T) {
	m := member()
	objects, err := install.Objects(m)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]*unstructured.Unstructured{}
	for _, o := range objects {
		kinds[o.GetKind()] = o
	}
	token, _, _ := unstructured.NestedString(kinds["Secret"].Object, "stringData", "token")
	if token != m.Token {
		t.Errorf("token %q, want %q", token, m.Token)
	}
	data, _, _ := unstructured.NestedStringMap(kinds["ConfigMap"].Object, "data")
	if data["skein-propeller.yaml"] != string(m.Config) || data["ca.crt"] != m.CA {
		t.Errorf("configuration %q", data)
	}
	m.Token = ""
	raw, err := install.YAML(m)
	if err != nil || strings.Contains(string(raw), "kind: Secret") {
		t.Errorf("a member that has joined gets a secret (%v)", err)
	}
}
