package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/plugins/blob"
	"github.com/skein-project/skein/plugins/copilot"
)

// uploadGrace is how long the side-car may upload after the task has ended; it
// stays below a pod's default termination grace.
const uploadGrace = 25 * time.Second

// copilotCommand holds the programs that run beside a raw container.
func copilotCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "copilot", Hidden: true, Short: "Carry inputs and outputs of raw containers", Args: cobra.NoArgs,
		Example: "  skein-propeller copilot ready",
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(downloadCommand(), sidecarCommand(), readyCommand())
	return cmd
}

// storeFlags say where the object store lies.
func storeFlags(flags *pflag.FlagSet) *blob.Config {
	c := &blob.Config{}
	flags.StringVar(&c.Root, "store", "", "root of the object store")
	flags.StringVar(&c.S3.Endpoint, "store-endpoint", "", "URL of the S3 server (default AWS's)")
	flags.StringVar(&c.S3.Region, "store-region", "", "region of the bucket (default $AWS_REGION)")
	flags.BoolVar(&c.S3.PathStyle, "store-path-style", false, "the bucket is in the path, not in the host name")
	return c
}

// openStore opens whatever the task's own credentials reach.
func openStore(ctx context.Context, c *blob.Config) (*blob.Reach, error) {
	if c.Root == "" {
		return nil, fault.Field("--store", "must be set: the object store's root")
	}
	return blob.OpenReach(ctx, *c)
}

func downloadCommand() *cobra.Command {
	var o copilot.DownloadOptions
	var store *blob.Config
	cmd := &cobra.Command{Use: "download", Short: "Make files of a task's inputs", Args: cobra.NoArgs,
		Example: `  skein-propeller copilot download --store /objects --from-remote /objects/x/inputs.pb --to-local-dir /var/flyte/inputs
  skein-propeller copilot download --store /objects --to-output-prefix /objects/x/0 --format YAML --input-interface CgA= --error-file error.pb
  skein-propeller copilot download --store s3://bucket --store-endpoint http://127.0.0.1:9000 --store-region us-east-1 --store-path-style`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			blobs, err := openStore(cmd.Context(), store)
			if err != nil {
				return err
			}
			o.Blobs = blobs
			return copilot.Download(cmd.Context(), o)
		}}
	flags := cmd.Flags()
	store = storeFlags(flags)
	flags.StringVar(&o.FromRemote, "from-remote", "", "URI of inputs.pb")
	flags.StringVar(&o.ToOutput, "to-output-prefix", "", "the attempt's output folder")
	flags.StringVar(&o.ToLocalDir, "to-local-dir", "/var/flyte/inputs", "folder for the files")
	flags.StringVar(&o.Format, "format", "JSON", "of the file with all inputs: JSON, YAML or PROTO")
	flags.StringVar(&o.Interface, "input-interface", "", "the inputs' VariableMap in base64")
	flags.StringVar(&o.ErrorFile, "error-file", "error.pb", "name of the file that tells a failure")
	return cmd
}

func sidecarCommand() *cobra.Command {
	o := copilot.SidecarOptions{Grace: uploadGrace}
	var store *blob.Config
	cmd := &cobra.Command{Use: "sidecar", Short: "Make outputs of the files that a task left", Args: cobra.NoArgs,
		Example: `  skein-propeller copilot sidecar --store /objects --to-output-prefix /objects/x/0 --to-raw-output /objects/raw
  skein-propeller copilot sidecar --store /objects --from-local-dir /var/flyte/outputs --interface CgA= --error-file error.pb
  skein-propeller copilot sidecar --store s3://bucket --store-endpoint http://127.0.0.1:9000 --store-region us-east-1 --store-path-style`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// SIGTERM is how the side-car is told that the task has ended.
			ended, stop := signal.NotifyContext(context.WithoutCancel(cmd.Context()), syscall.SIGTERM, os.Interrupt)
			defer stop()
			blobs, err := openStore(ended, store)
			if err != nil {
				return err
			}
			o.Blobs = blobs
			return copilot.Sidecar(ended, o)
		}}
	flags := cmd.Flags()
	store = storeFlags(flags)
	flags.StringVar(&o.ToRaw, "to-raw-output", "", "where files are put that outputs name")
	flags.StringVar(&o.ToOutput, "to-output-prefix", "", "the attempt's output folder")
	flags.StringVar(&o.FromLocalDir, "from-local-dir", "/var/flyte/outputs", "folder of the files")
	flags.StringVar(&o.Interface, "interface", "", "the outputs' VariableMap in base64")
	flags.StringVar(&o.ErrorFile, "error-file", "error.pb", "name of the file that tells a failure")
	return cmd
}

func readyCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{Use: "ready", Short: "Tell whether the side-car has started", Args: cobra.NoArgs,
		Example: "  skein-propeller copilot ready --from-local-dir /var/flyte/outputs",
		RunE:    func(*cobra.Command, []string) error { return copilot.Ready(dir) }}
	cmd.Flags().StringVar(&dir, "from-local-dir", "/var/flyte/outputs", "the side-car's folder")
	return cmd
}
