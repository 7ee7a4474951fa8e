package cli

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/skein-project/skein/api/fault"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
)

func policyCommand(s *session) *cobra.Command {
	cmd := &cobra.Command{
		Use: "policy", Short: "Say where work may run, who goes first, and what becomes of it when a cluster is lost",
		Long:    "Say where work may run, who goes first, and what becomes of it when a cluster is lost. docs/policies.md describes the document.",
		Example: "  skein policy list", Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(policyApply(s), policyDiff(s), policyGet(s), policyList(s), policyHistory(s), policyDelete(s))
	return cmd
}

func (s *session) policies(call func(skeinv1.PolicyServiceClient) error) error {
	conn, err := s.config.DialSkein()
	if err != nil {
		return err
	}
	defer conn.Close()
	return call(skeinv1.NewPolicyServiceClient(conn))
}

func policyApply(s *session) *cobra.Command {
	var from string
	var version uint64
	cmd := &cobra.Command{
		Use:   "apply",
		Short: "Check documents and store them as the next versions of their scopes",
		Long: `Check documents and store them as the next versions of their scopes. A document
that says what holds already changes nothing. All documents of a file or folder
are checked before the first is stored.`,
		Example: `  skein policy apply -f production.yaml
  skein policy apply -f policies/
  skein policy apply -f production.yaml --expected-version 3`,
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error { return s.applyPolicies(cmd, from, version, false) },
	}
	cmd.Flags().StringVarP(&from, "file", "f", "", "file of one or more documents, a folder of such files, or - for standard input")
	cmd.Flags().Uint64Var(&version, "expected-version", 0, "refuse to replace any other version than this one")
	return cmd
}

func policyDiff(s *session) *cobra.Command {
	var from string
	cmd := &cobra.Command{
		Use:     "diff",
		Short:   "Check documents and print what applying them would change",
		Example: "  skein policy diff -f policies/",
		Args:    none,
		RunE:    func(cmd *cobra.Command, _ []string) error { return s.applyPolicies(cmd, from, 0, true) },
	}
	cmd.Flags().StringVarP(&from, "file", "f", "", "file of one or more documents, a folder of such files, or - for standard input")
	return cmd
}

func (s *session) applyPolicies(cmd *cobra.Command, from string, version uint64, dry bool) error {
	list, err := readDocuments(cmd.InOrStdin(), from)
	if err != nil {
		return err
	}
	if version != 0 && len(list) != 1 {
		return fault.Field("--expected-version", "is for one document; %s holds %d", from, len(list))
	}
	return s.policies(func(api skeinv1.PolicyServiceClient) error {
		var answers []*skeinv1.ApplyPolicyResponse
		for _, check := range []bool{true, false} {
			if !check && dry {
				break
			}
			answers = nil
			for _, d := range list {
				answer, err := api.ApplyPolicy(cmd.Context(), &skeinv1.ApplyPolicyRequest{Document: d.text, DryRun: check, ExpectedVersion: version})
				if err != nil {
					return fault.E(fault.Of(fromWire(err)), "%s: %v", d.name, fromWire(err))
				}
				answers = append(answers, answer)
			}
		}
		if !s.table() {
			out := make([]any, len(answers))
			for i, a := range answers {
				raw, err := encode(a)
				if err != nil {
					return err
				}
				out[i] = raw
			}
			return s.write(cmd.OutOrStdout(), out)
		}
		return policyChanges(cmd.OutOrStdout(), answers, dry)
	})
}

func policyChanges(w io.Writer, answers []*skeinv1.ApplyPolicyResponse, dry bool) error {
	for _, a := range answers {
		p := a.GetPolicy()
		switch {
		case a.GetDifference() == "":
			fmt.Fprintf(w, "%s: unchanged at version %d\n", p.GetScope(), p.GetVersion())
		case dry:
			fmt.Fprint(w, a.GetDifference())
		default:
			fmt.Fprintf(w, "%s: version %d\n%s", p.GetScope(), p.GetVersion(), a.GetDifference())
		}
	}
	return nil
}

// policyDocument is one document with the place that it came from.
type policyDocument struct{ name, text string }

// readDocuments reads the documents of a file, of a folder's .yaml, .yml and
// .json files in order of their names, or of standard input. Lines keep their
// numbers.
func readDocuments(in io.Reader, from string) ([]policyDocument, error) {
	if from == "" {
		return nil, fault.Field("--file", "name a file, a folder or - (standard input): -f policies/")
	}
	if from == "-" {
		raw, err := io.ReadAll(in)
		return documents("standard input", string(raw)), err
	}
	files := []string{from}
	if info, err := os.Stat(from); err == nil && info.IsDir() {
		files = nil
		for _, pattern := range []string{"*.yaml", "*.yml", "*.json"} {
			found, _ := filepath.Glob(filepath.Join(from, pattern)) // the pattern is a good one
			files = append(files, found...)
		}
		slices.Sort(files)
	}
	var out []policyDocument
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "--file")
		}
		out = append(out, documents(file, string(raw))...)
	}
	if len(out) == 0 {
		return nil, fault.Field("--file", "%s holds no document", from)
	}
	return out, nil
}

// documents splits a file at lines of ---. What went before a document becomes
// empty lines, so that messages name the lines of the file.
func documents(name, text string) []policyDocument {
	var out []policyDocument
	var body strings.Builder
	lines, filled := 0, false
	end := func() {
		if filled {
			out = append(out, policyDocument{name: name, text: body.String()})
		}
		body.Reset()
		body.WriteString(strings.Repeat("\n", lines))
		filled = false
	}
	for line := range strings.Lines(text) {
		lines++
		if strings.TrimRight(line, " \r\n") == "---" {
			end()
			continue
		}
		body.WriteString(line)
		word := strings.TrimSpace(line)
		filled = filled || word != "" && word[0] != '#'
	}
	end()
	return out
}

func policyGet(s *session) *cobra.Command {
	var version uint64
	var effective bool
	cmd := &cobra.Command{
		Use:   "get SCOPE",
		Short: "Print a scope's policy, or all that holds for it",
		Example: `  skein policy get system
  skein policy get project/flytesnacks/production --version 3
  skein policy get workflow/flytesnacks/production/billing.charge --effective`,
		Args:              exactly(1, "SCOPE"),
		ValidArgsFunction: s.complete(first(s.policyScopes)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.policies(func(api skeinv1.PolicyServiceClient) error {
				answer, err := api.GetPolicy(cmd.Context(), &skeinv1.GetPolicyRequest{Scope: args[0], Version: version, Effective: effective})
				if err != nil {
					return err
				}
				return s.print(cmd.OutOrStdout(), answer, func(w io.Writer) error {
					p := answer.GetPolicy()
					switch {
					case p.GetDeleted():
						fmt.Fprintf(w, "# version %d withdrew the policy, by %s at %s\n", p.GetVersion(), p.GetAuthor(), p.GetAt().AsTime().Format(time.RFC3339))
					case !effective:
						fmt.Fprintf(w, "# version %d, by %s at %s\n", p.GetVersion(), p.GetAuthor(), p.GetAt().AsTime().Format(time.RFC3339))
					}
					_, err := fmt.Fprint(w, p.GetDocument())
					return err
				})
			})
		},
	}
	cmd.Flags().Uint64Var(&version, "version", 0, "this version (left out: the newest)")
	cmd.Flags().BoolVar(&effective, "effective", false, "what holds for the scope, wider scopes included")
	cmd.MarkFlagsMutuallyExclusive("version", "effective")
	return cmd
}

func policyList(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the scopes that have a policy", Example: "  skein policy list -o yaml", Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error { return s.listPolicies(cmd, "") },
	}
}

func policyHistory(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "history SCOPE", Short: "List all versions of a scope's policy, newest first", Example: "  skein policy history domain/production",
		Args: exactly(1, "SCOPE"), ValidArgsFunction: s.complete(first(s.policyScopes)),
		RunE: func(cmd *cobra.Command, args []string) error { return s.listPolicies(cmd, args[0]) },
	}
}

func (s *session) listPolicies(cmd *cobra.Command, scope string) error {
	return s.policies(func(api skeinv1.PolicyServiceClient) error {
		list, err := api.ListPolicies(cmd.Context(), &skeinv1.ListPoliciesRequest{Scope: scope})
		if err != nil {
			return err
		}
		return s.print(cmd.OutOrStdout(), list, func(w io.Writer) error { return policyTable(w, list.GetPolicies()) })
	})
}

func policyTable(w io.Writer, list []*skeinv1.Policy) error {
	var lines [][]string
	for _, p := range list {
		state := "holds"
		if p.GetDeleted() {
			state = "withdrawn"
		}
		lines = append(lines, []string{p.GetScope(), fmt.Sprint(p.GetVersion()), state, p.GetAuthor(), ago(p.GetAt())})
	}
	return rows(w, "SCOPE VERSION STATE BY AT", lines)
}

func policyDelete(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "delete SCOPE", Short: "Withdraw a scope's policy, as a version of its own", Example: "  skein policy delete domain/staging",
		Args: exactly(1, "SCOPE"), ValidArgsFunction: s.complete(first(s.policyScopes)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.policies(func(api skeinv1.PolicyServiceClient) error {
				answer, err := api.DeletePolicy(cmd.Context(), &skeinv1.DeletePolicyRequest{Scope: args[0]})
				if err != nil {
					return err
				}
				return s.print(cmd.OutOrStdout(), answer, func(w io.Writer) error {
					_, err := fmt.Fprintf(w, "%s: withdrawn by version %d; skein policy history %s shows what it said\n", args[0], answer.GetPolicy().GetVersion(), args[0])
					return err
				})
			})
		},
	}
}
