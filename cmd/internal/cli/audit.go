package cli

import (
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	skeinv1 "github.com/skein-project/skein/api/skein/v1"
)

func auditCommand(s *session) *cobra.Command {
	var limit int32
	cmd := &cobra.Command{
		Use:   "audit [SUBJECT]",
		Short: "List what was done to the fleet and what was refused, newest first",
		Example: `  skein audit
  skein audit cluster/eu-1 --limit 20
  skein audit policy/system -o json`,
		Args: between(0, 1, "SUBJECT such as cluster/eu-1, or nothing"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.clusters(func(api skeinv1.ClusterServiceClient) error {
				answer, err := api.ListAudit(cmd.Context(), &skeinv1.ListAuditRequest{Subject: strings.Join(args, ""), Limit: limit})
				if err != nil {
					return err
				}
				return s.print(cmd.OutOrStdout(), answer, func(w io.Writer) error { return auditTable(w, answer.GetLines()) })
			})
		},
	}
	cmd.Flags().Int32Var(&limit, "limit", 0, "lines (default 100, at most 1,000)")
	return cmd
}

func auditTable(w io.Writer, list []*skeinv1.AuditLine) error {
	var lines [][]string
	for _, a := range list {
		detail, _, _ := strings.Cut(a.GetDetail(), "\n")
		lines = append(lines, []string{a.GetAt().AsTime().Format(time.RFC3339), a.GetActor(), a.GetAction(), a.GetSubject(), detail})
	}
	return rows(w, "AT BY ACTION SUBJECT DETAIL", lines)
}
