// Package cli holds the commands of skein, the command line for people.
//
// Commands are thin: they parse, call the control plane and print. They keep
// no state, import no plane and decide nothing. Invariant: every command that
// reads has -o table|json|yaml, and every failure has an exit code of its kind
// (api/fault) and says what to do next.
package cli

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/cmd/internal/client"
)

// session is what the commands of one invocation share.
type session struct {
	configPath string
	project    string
	domain     string
	output     string
	config     client.Config
}

// outputs are the values of --output.
var outputs = []string{"table", "json", "yaml"}

// New makes the root command with everything below it.
func New(version string) *cobra.Command {
	s := &session{}
	root := &cobra.Command{
		Use:           "skein",
		Short:         "Run Flyte workflows on many Kubernetes clusters",
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          none,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return s.load(cmd)
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		Example: `  skein get --config ~/.config/skein/staging.yaml
  skein get --project flytesnacks --domain staging --output json`,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true}, // ours has examples
	}
	flags := root.PersistentFlags()
	flags.StringVar(&s.configPath, "config", "", "configuration file (default $SKEIN_CONFIG, else ~/.config/skein/config.yaml)")
	flags.StringVarP(&s.project, "project", "p", "", "project (default: the configuration's)")
	flags.StringVarP(&s.domain, "domain", "d", "", "domain (default: the configuration's)")
	flags.StringVarP(&s.output, "output", "o", "table", "table, json or yaml")
	root.AddCommand(registerCommand(s), launchCommand(s), getCommand(s), logsCommand(s), abortCommand(s), explainCommand(s), whatIfCommand(s), replayCommand(s),
		clusterCommand(s), policyCommand(s), adminCommand(s), auditCommand(s), simulateCommand(s), completionCommand())
	completeFlag(root, "project", s.complete(s.projectNames))
	completeFlag(root, "domain", s.complete(s.domainNames))
	completeFlag(root, "output", cobra.FixedCompletions(outputs, cobra.ShellCompDirectiveNoFileComp))
	root.SetFlagErrorFunc(badFlag)
	return root
}

func (s *session) load(cmd *cobra.Command) error {
	switch cmd.Name() {
	case cobra.ShellCompRequestCmd, cobra.ShellCompNoDescRequestCmd:
		return nil // what is completed reads it for itself, and says nothing
	}
	if !slices.Contains(outputs, s.output) {
		return fault.Field("--output", "want table, json or yaml, got %q", s.output)
	}
	path, asked := s.configPath, cmd.Flags().Changed("config")
	if path == "" {
		path = client.Path()
	}
	config, err := client.Read(path, asked)
	if err != nil {
		return err
	}
	if s.project != "" {
		config.Project = s.project
	}
	if s.domain != "" {
		config.Domain = s.domain
	}
	s.config = config
	return nil
}

// Fail prints an error for people and returns the exit code of its kind.
func Fail(w io.Writer, err error) int {
	err = fromWire(err)
	fmt.Fprintln(w, "error:", err)
	if hint := hint(err); hint != "" {
		fmt.Fprintln(w, hint)
	}
	return fault.Of(err).Exit()
}

// noConnection begins the message of a call that reached nobody.
const noConnection = "cannot connect: "

func hint(err error) string {
	switch {
	case fault.Is(err, fault.Unavailable) && strings.HasPrefix(err.Error(), noConnection):
		return "Is the control plane up, and is this its address? `make demo` starts one on this machine and prints the SKEIN_CONFIG to set."
	case fault.Is(err, fault.Unauthorized):
		return "Set tokenFile in the configuration to the file of the operator's token."
	}
	return ""
}

// fromWire turns a gRPC status into the fault that it tells.
func fromWire(err error) error {
	var f *fault.Error
	if errors.As(err, &f) {
		return err
	}
	st, ok := status.FromError(err)
	if !ok || st.Code() == codes.OK {
		return fault.E(fault.Invalid, "%v", err)
	}
	kind, _ := fault.FromCode(uint32(st.Code())) // what is not known is Internal
	switch st.Code() {
	case codes.DeadlineExceeded:
		kind = fault.Unavailable
	case codes.Aborted: // a change that lost against another one
		kind = fault.Stale
	}
	message := st.Message()
	if why, reached := strings.CutPrefix(message, "connection error: desc = "); reached {
		message = noConnection + strings.TrimPrefix(strings.Trim(why, `"`), "transport: ")
	}
	return fault.E(kind, "%s", message)
}

// advise adds the way out to an error of a kind; others are left as they are.
func advise(err error, kind fault.Kind, format string, args ...any) error {
	if told := fromWire(err); fault.Is(told, kind) {
		return fault.E(kind, "%v; %s", told, fmt.Sprintf(format, args...))
	}
	return err
}
