// Package apply puts YAML manifests into a cluster by server-side apply.
//
// It is the kubectl apply of deploy/local: it knows nothing of what it applies
// beyond whether a custom resource definition has become servable. Invariant:
// applying the same manifests again changes nothing.
package apply

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
)

const (
	owner    = "skein-local"
	patience = 30 * time.Second // for a definition to become servable
)

// Manifests applies every document of every manifest, in order, and waits for
// custom resource definitions among them to be served.
func Manifests(ctx context.Context, config *rest.Config, manifests ...[]byte) error {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("client for apply: %w", err)
	}
	disco, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return fmt.Errorf("discovery for apply: %w", err)
	}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(disco))
	for _, m := range manifests {
		decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(m), 4096)
		for {
			object := &unstructured.Unstructured{}
			err := decoder.Decode(&object.Object)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return fmt.Errorf("read manifest: %w", err)
			}
			if len(object.Object) == 0 {
				continue
			}
			if err := one(ctx, client, mapper, object); err != nil {
				return fmt.Errorf("apply %s %s: %w", object.GetKind(), object.GetName(), err)
			}
		}
	}
	return nil
}

func one(ctx context.Context, client dynamic.Interface, mapper *restmapper.DeferredDiscoveryRESTMapper, object *unstructured.Unstructured) error {
	gvk := object.GroupVersionKind()
	mapping, err := mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		return err
	}
	var target dynamic.ResourceInterface = client.Resource(mapping.Resource)
	if object.GetNamespace() != "" {
		target = client.Resource(mapping.Resource).Namespace(object.GetNamespace())
	}
	if _, err := target.Apply(ctx, object.GetName(), object, metav1.ApplyOptions{FieldManager: owner, Force: true}); err != nil {
		return err
	}
	if gvk.Kind != "CustomResourceDefinition" {
		return nil
	}
	return wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		got, err := target.Get(ctx, object.GetName(), metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		mapper.Reset()
		return established(got), nil
	})
}

func established(definition *unstructured.Unstructured) bool {
	conditions, _, _ := unstructured.NestedSlice(definition.Object, "status", "conditions")
	for _, c := range conditions {
		if m, ok := c.(map[string]any); ok && m["type"] == "Established" && m["status"] == "True" {
			return true
		}
	}
	return false
}
