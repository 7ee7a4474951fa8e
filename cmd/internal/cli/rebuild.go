package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/skein-project/skein/api/fault"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
)

func adminStatus(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show the control plane: who leads, and what keeps it from placing work",
		Long: `Show the control plane: its replicas, who leads, whether it is in doubt of itself,
and whether it is in REBUILD after a restored backup, and for whom that waits.`,
		Example: `  skein admin status
  skein admin status -o json`, Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.controlPlane(func(api skeinv1.ControlPlaneServiceClient) error {
				answer, err := api.GetControlPlane(cmd.Context(), &skeinv1.GetControlPlaneRequest{})
				if err != nil {
					return err
				}
				return s.print(cmd.OutOrStdout(), answer, func(w io.Writer) error { return planeTable(w, answer) })
			})
		},
	}
}

// rebuildText tells of a REBUILD that lasts.
func rebuildText(w io.Writer, r *skeinv1.Rebuild) error {
	text := fmt.Sprintf("In REBUILD since %s, after a restored backup: nothing is placed, and no event is taken. It was noticed so: %s.",
		r.GetSince().AsTime().Format(time.RFC3339), r.GetWhy())
	if len(r.GetReported()) > 0 {
		text += " Reported: " + strings.Join(r.GetReported(), ", ") + "."
	}
	switch {
	case r.GetForced():
		text += " An operator waits for no cluster; it ends when the longest lease is over."
	case len(r.GetWaiting()) > 0:
		text += " Waiting for: " + strings.Join(r.GetWaiting(), ", ") + "."
	default:
		text += " All clusters have reported; it ends when the longest lease is over."
	}
	_, err := fmt.Fprintln(w, wrap(text, 100))
	return err
}

func finishRebuild(s *session) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "finish-rebuild",
		Short: "Let a REBUILD after a restored backup wait for no cluster any more",
		Long: `Let a REBUILD after a restored backup wait for no cluster any more, and wait until
it has ended: leases are waited for all the same. What the clusters hold that
have not reported, and the backup does not know, is given up: it is stopped when
they return, and nobody runs it again. Without --yes it only prints for whom the
REBUILD waits. A cluster that is gone for good is better declared lost
(skein cluster declare-lost): then nothing else is given up.`,
		Example: `  skein admin finish-rebuild
  skein admin finish-rebuild --yes`,
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.controlPlane(func(api skeinv1.ControlPlaneServiceClient) error {
				if !yes {
					return askedToFinish(cmd, s, api)
				}
				done, err := api.FinishRebuild(cmd.Context(), &skeinv1.FinishRebuildRequest{})
				if err != nil {
					return err
				}
				return s.print(cmd.OutOrStdout(), done, func(w io.Writer) error {
					_, err := fmt.Fprintf(w, "the REBUILD has ended, and era %d begun: %d executions kept, %d found elsewhere than the backup had them, "+
						"%d made again, %d that nobody reported\n", done.GetEra(), done.GetKept(), done.GetMoved(), done.GetCreated(), done.GetReleased())
					return err
				})
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do it: what the clusters hold that have not reported is given up")
	return cmd
}

// askedToFinish says what finishing would give up, and does nothing.
func askedToFinish(cmd *cobra.Command, s *session, api skeinv1.ControlPlaneServiceClient) error {
	plane, err := api.GetControlPlane(cmd.Context(), &skeinv1.GetControlPlaneRequest{})
	if err != nil {
		return err
	}
	r := plane.GetRebuild()
	if r == nil {
		return fault.E(fault.Precondition, "there is no REBUILD to finish")
	}
	err = s.print(cmd.OutOrStdout(), r, func(w io.Writer) error {
		if err := rebuildText(w, r); err != nil || len(r.GetWaiting()) == 0 {
			return err
		}
		_, err := fmt.Fprintf(w, "\n%s\n", wrap("What "+strings.Join(r.GetWaiting(), ", ")+" hold that the backup does not know would be given up: "+
			"it is stopped when they return, and is run by nobody else.", 100))
		return err
	})
	if err != nil {
		return err
	}
	return fault.E(fault.Precondition, "nothing was done; say --yes to wait for no cluster any more")
}
