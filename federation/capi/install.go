package capi

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skein-project/skein/api/fault"
)

const (
	fieldOwner     = "skein-capi"
	installTimeout = time.Minute
)

// Apply is an Installer that applies objects by server-side apply.
type Apply struct {
	// Objects are the member's, in the order in which they are applied.
	Objects func(Join) ([]*unstructured.Unstructured, error)
	// Server rewrites the address in a kubeconfig; nil leaves it.
	Server func(string) string
}

// Install applies the objects. It keeps no connection and no credential.
func (a Apply) Install(ctx context.Context, kubeconfig []byte, j Join) error {
	ctx, cancel := context.WithTimeout(ctx, installTimeout)
	defer cancel()
	config, err := clientcmd.RESTConfigFromKubeConfig(kubeconfig)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "the kubeconfig of %s cannot be read", j.Cluster)
	}
	if config.ExecProvider != nil || config.AuthProvider != nil {
		return fault.E(fault.Invalid, "the kubeconfig of %s runs a program to log in: only certificates and tokens are used", j.Cluster)
	}
	if a.Server != nil {
		config.Host = a.Server(config.Host)
	}
	objects, err := a.Objects(j)
	if err != nil {
		return err
	}
	c, err := client.New(rest.AddUserAgent(config, fieldOwner), client.Options{})
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "reach the API server of %s", j.Cluster)
	}
	for _, o := range objects {
		if err := c.Apply(ctx, client.ApplyConfigurationFromUnstructured(o), client.ForceOwnership, client.FieldOwner(fieldOwner)); err != nil {
			return fmt.Errorf("apply %s %s: %w", o.GetKind(), o.GetName(), err)
		}
	}
	return nil
}
