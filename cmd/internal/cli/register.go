package cli

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/service"
	"github.com/skein-project/skein/cmd/internal/manifest"
)

func registerCommand(s *session) *cobra.Command {
	var file, version string
	var activate bool
	var a archived
	cmd := &cobra.Command{
		Use:   "register {-f FILE | --archive FILE}",
		Short: "Register a YAML file of container tasks and a workflow, or what pyflyte has packaged",
		Long: `Register a YAML file of container tasks and, if it has one, the workflow over
them with its default launch plan. The format is described in docs/manifest.md.
Registering the same file again changes nothing; a changed file gets a version
of its own, unless --version fixes it.

With --archive, register what "pyflyte package" or "pyflyte serialize" wrote, as
"flytectl register files" does: an archive or a folder. Code that is packaged
with it is uploaded. Launch plans become active only with --activate.`,
		Example: `  skein register -f workflow.yaml
  skein register -f workflow.yaml --version v2 --project flytesnacks --domain staging
  skein register --archive flyte-package.tgz --version v1 --activate --destination-dir /root`,
		Args: noFile,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if a.path != "" {
				if file != "" {
					return fault.Field("--archive", "cannot go with --file: want one of them")
				}
				a.version, a.activate = version, activate && cmd.Flags().Changed("activate")
				return a.register(cmd, s)
			}
			if a.codeDir != "" {
				return fault.Field("--destination-dir", "is for --archive only")
			}
			return registerFile(cmd, s, file, version, activate)
		},
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "the file; - for standard input")
	cmd.Flags().StringVar(&a.path, "archive", "", "archive or folder that pyflyte package or pyflyte serialize wrote; - for an archive from standard input")
	cmd.Flags().StringVar(&a.codeDir, "destination-dir", "", "with --archive: folder for the code, in containers whose tasks name none")
	cmd.Flags().StringVar(&version, "version", "", "version to register (default: a digest of the file; must be set for an archive)")
	completeFlag(cmd, "file", cobra.FixedCompletions([]string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt))
	cmd.Flags().BoolVar(&activate, "activate", true, "make this version of the launch plan the active one; for an archive, only if given")
	return cmd
}

// registerFile registers the YAML of container tasks.
func registerFile(cmd *cobra.Command, s *session, file, version string, activate bool) error {
	raw, err := readFile(cmd, file)
	if err != nil {
		return err
	}
	m, digest, err := manifest.Parse(raw)
	if err != nil {
		return err
	}
	if version == "" {
		version = digest
	}
	requests, err := m.Build(manifest.Target{Project: s.config.Project, Domain: s.config.Domain, Version: version})
	if err != nil {
		return err
	}
	conn, err := s.config.DialFlyte()
	if err != nil {
		return err
	}
	defer conn.Close()
	r := registrar{out: s.progress(cmd), client: service.NewAdminServiceClient(conn)}
	if err := r.register(cmd.Context(), requests, activate); err != nil || s.table() {
		return err
	}
	return s.write(cmd.OutOrStdout(), r.did)
}

// noFile says where the file goes.
func noFile(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fault.E(fault.Invalid, "want no arguments, got %q: a file is named by -f", args[0])
	}
	return nil
}

func readFile(cmd *cobra.Command, file string) ([]byte, error) {
	switch file {
	case "":
		return nil, fault.Field("--file", "must be set, or --archive; see skein register --help")
	case "-":
		return io.ReadAll(cmd.InOrStdin())
	}
	raw, err := os.ReadFile(file)
	return raw, fault.Wrap(fault.Invalid, err, "--file cannot be read")
}

// registrar sends registration requests in their order. What exists already
// with the same structure counts as done.
type registrar struct {
	out    io.Writer
	client service.AdminServiceClient
	did    []registration
}

// registration is what became of one entity.
type registration struct {
	Result  string `json:"result"` // registered, or unchanged
	Kind    string `json:"kind"`
	Name    string `json:"name"`
	Version string `json:"version"`
}

func (r *registrar) register(ctx context.Context, requests manifest.Requests, activate bool) error {
	for _, t := range requests.Tasks {
		_, err := r.client.CreateTask(ctx, t)
		if err := r.done("task", t.Id.Name, t.Id.Version, err); err != nil {
			return err
		}
	}
	if requests.Workflow == nil {
		return nil
	}
	id := requests.Workflow.Id
	_, err := r.client.CreateWorkflow(ctx, requests.Workflow)
	if err := r.done("workflow", id.Name, id.Version, err); err != nil {
		return err
	}
	_, err = r.client.CreateLaunchPlan(ctx, requests.LaunchPlan)
	if err := r.done("launch plan", id.Name, id.Version, err); err != nil {
		return err
	}
	if !activate {
		return nil
	}
	_, err = r.client.UpdateLaunchPlan(ctx, &admin.LaunchPlanUpdateRequest{Id: requests.LaunchPlan.Id, State: admin.LaunchPlanState_ACTIVE})
	return err
}

func (r *registrar) done(noun, name, version string, err error) error {
	word := "registered"
	if status.Code(err) == codes.AlreadyExists {
		word, err = "unchanged", nil
	}
	if err != nil {
		return err
	}
	r.did = append(r.did, registration{word, noun, name, version})
	_, err = fmt.Fprintf(r.out, "%s %s %s version %s\n", word, noun, name, version)
	return err
}
