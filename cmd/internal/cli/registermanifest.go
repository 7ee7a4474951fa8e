package cli

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/skein-project/skein/api/fault"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/cmd/internal/config"
	"github.com/skein-project/skein/deploy/install"
)

// memberManifest is what `cluster register --manifest` needs beside the answer.
type memberManifest struct {
	wanted              bool
	image, storageClass string
	hubs                []string
	config              string
}

func (m *memberManifest) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&m.wanted, "manifest", false, "print what to apply in the cluster (it holds the token); needs --image, --hub and --propeller-config")
	flags.StringVar(&m.image, "image", "", "with --manifest: the image that holds skein-propeller")
	flags.StringArrayVar(&m.hubs, "hub", nil, "with --manifest: host:port of a replica, as the cluster reaches it; may be repeated")
	flags.StringVar(&m.config, "propeller-config", "", "with --manifest: a skein-propeller.yaml with objectStore.root, and without cluster, instance, state, hubs, ca and joinToken")
	flags.StringVar(&m.storageClass, "storage-class", "", "with --manifest: of the small volume that holds the certificate")
}

// check refuses what could not be rendered, before a token is made.
func (m *memberManifest) check(cluster string) (config.Propeller, error) {
	base := config.DefaultPropeller()
	switch {
	case !m.wanted && (m.image != "" || len(m.hubs) > 0 || m.config != "" || m.storageClass != ""):
		return base, fault.Field("--manifest", "is needed for --image, --hub, --propeller-config and --storage-class")
	case !m.wanted:
		return base, nil
	case m.image == "":
		return base, fault.Field("--image", "must name the image that holds skein-propeller")
	case len(m.hubs) == 0:
		return base, fault.Field("--hub", "must name at least one replica, as the cluster reaches it: host:port")
	}
	if m.config != "" {
		if err := config.Load(&base, config.Source{File: m.config, Partial: true}); err != nil {
			return base, fault.Wrap(fault.Invalid, err, "--propeller-config")
		}
	}
	base.Cluster, base.Instance, base.Hubs = cluster, "by-environment", m.hubs
	base.State, base.CA, base.Ops.Listen = install.StateFolder, install.CAFile, "0.0.0.0:10255"
	if err := base.Validate(); err != nil {
		return base, fault.Wrap(fault.Invalid, err, "--propeller-config")
	}
	base.Instance = ""
	return base, nil
}

// write prints the objects.
func (m *memberManifest) write(w io.Writer, base config.Propeller, answer *skeinv1.RegisterClusterResponse) error {
	raw, err := config.Encode(&base)
	if err != nil {
		return err
	}
	out, err := install.YAML(install.Member{Cluster: answer.GetCluster().GetName(), Image: m.image, Config: raw, CA: answer.GetCa(),
		Token: answer.GetJoinToken(), StorageClass: m.storageClass})
	if err != nil {
		return err
	}
	_, err = w.Write(out)
	return err
}
