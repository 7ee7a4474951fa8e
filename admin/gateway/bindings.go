package gateway

import (
	"google.golang.org/protobuf/reflect/protoreflect"
	"sigs.k8s.io/yaml"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flyteidl"
)

// Binding is one HTTP method and path that stands for an RPC.
type Binding struct {
	RPC  protoreflect.FullName
	Verb string // in capitals
	Path string // with fields of the request in braces
	Body bool   // the request is in the body; otherwise its fields are in the query
}

// rule is an entry of gateway.yaml.
type rule struct {
	Selector   string `json:"selector"`
	Get        string `json:"get"`
	Put        string `json:"put"`
	Post       string `json:"post"`
	Delete     string `json:"delete"`
	Body       string `json:"body"`
	Additional []rule `json:"additional_bindings"`
}

// Bindings lists what the gateway serves, in the order of gateway.yaml.
func Bindings() ([]Binding, error) {
	var file struct {
		HTTP struct {
			Rules []rule `json:"rules"`
		} `json:"http"`
	}
	if err := yaml.Unmarshal(flyteidl.Gateway, &file); err != nil {
		return nil, fault.Wrap(fault.Internal, err, "read gateway.yaml")
	}
	var all []Binding
	for _, r := range file.HTTP.Rules {
		for _, one := range append([]rule{r}, r.Additional...) {
			b := Binding{RPC: protoreflect.FullName(r.Selector), Body: one.Body == "*"}
			for verb, path := range map[string]string{"GET": one.Get, "PUT": one.Put, "POST": one.Post, "DELETE": one.Delete} {
				if path != "" {
					b.Verb, b.Path = verb, path
				}
			}
			all = append(all, b)
		}
	}
	return all, nil
}
