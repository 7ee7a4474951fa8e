package cli

import (
	"github.com/spf13/cobra"

	"github.com/skein-project/skein/api/fault"
)

// completionCommand prints the script by which a shell asks us what may come
// next.
func completionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "Print the completion script of a shell",
		Long: `Print the completion script of a shell. Commands, flags and fixed values are
completed by themselves; names of executions, nodes, launch plans, clusters,
labels, projects and domains are asked of the control plane that the
configuration names, for at most a second, and without a word if it is away.`,
		Example: `  # bash, for this shell (needs the package bash-completion), and for all
  source <(skein completion bash)
  skein completion bash > /etc/bash_completion.d/skein
  # zsh, with compinit loaded
  skein completion zsh > "${fpath[1]}/_skein"
  skein completion fish > ~/.config/fish/completions/skein.fish
  skein completion powershell >> $PROFILE`,
		ValidArgs: shells,
		Args:      exactly(1, "one of bash, zsh, fish, powershell"),
		RunE: func(cmd *cobra.Command, args []string) error {
			root, w := cmd.Root(), cmd.OutOrStdout()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(w, true)
			case "zsh":
				return root.GenZshCompletion(w)
			case "fish":
				return root.GenFishCompletion(w, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(w)
			}
			return fault.Field("shell", "want bash, zsh, fish or powershell, got %q", args[0])
		},
	}
}
