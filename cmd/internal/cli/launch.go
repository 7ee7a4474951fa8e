package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/api/flyteidl/service"
	"github.com/skein-project/skein/cmd/internal/manifest"
)

// launch is what one launch asks for.
type launch struct {
	version, name, label string
	pool                 string
	inputs               []string
	annotations          map[string]string
	wait                 bool
}

func launchCommand(s *session) *cobra.Command {
	var l launch
	cmd := &cobra.Command{
		Use:   "launch LAUNCH-PLAN",
		Short: "Launch a registered workflow",
		Long: `Launch a launch plan: the version that --version names, else its active one,
else its newest. A cluster label chooses where it runs: it is a Kubernetes label
selector over the labels of clusters; a bare word means "has this label".`,
		Example: `  skein launch demo.wordcount --input text="to be or not" --wait
  skein launch demo.wordcount --cluster-label region=eu-west
  skein launch demo.wordcount --version v2 --name nightly-2026-01-02
  skein launch demo.wordcount --pool gpu --annotation skein.dev/failover=never`,
		Args: exactly(1, "LAUNCH-PLAN"),

		ValidArgsFunction: s.complete(first(s.launchPlanNames)),
		RunE: func(cmd *cobra.Command, args []string) error {
			conn, err := s.config.DialFlyte()
			if err != nil {
				return err
			}
			defer conn.Close()
			api := service.NewAdminServiceClient(conn)
			id, err := l.create(cmd.Context(), s, api, args[0])
			if err != nil {
				return err
			}
			if !l.wait {
				return s.print(cmd.OutOrStdout(), id, func(w writer) error {
					_, err := fmt.Fprintf(w, "launched %s; follow it with: skein get %s --watch\n", id.Name, id.Name)
					return err
				})
			}
			return s.await(cmd, api, id)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&l.version, "version", "", "version of the launch plan")
	flags.StringVar(&l.name, "name", "", "name of the execution (default: generated)")
	flags.StringArrayVarP(&l.inputs, "input", "i", nil, "an input as name=value; lists and maps as JSON; may be repeated")
	flags.StringVar(&l.label, "cluster-label", "", "label selector over clusters")
	flags.StringVar(&l.pool, "pool", "", "a pool of clusters that a policy names")
	flags.StringToStringVar(&l.annotations, "annotation", nil, "an annotation as key=value, such as skein.dev/failover=never; may be repeated")
	flags.BoolVar(&l.wait, "wait", false, "show progress until it ends, then the outputs; fail if it fails")
	completeFlag(cmd, "version", s.complete(s.launchPlanVersions))
	completeFlag(cmd, "input", partial(s.complete(s.inputNames(&l))))
	completeFlag(cmd, "cluster-label", s.complete(s.clusterLabels))
	return cmd
}

// await follows what was launched to its end and shows what came out.
func (s *session) await(cmd *cobra.Command, api service.AdminServiceClient, id *core.WorkflowExecutionIdentifier) error {
	x, err := s.follow(cmd.Context(), s.progress(cmd), api, id)
	if err != nil {
		return err
	}
	if !s.table() {
		return errors.Join(s.show(cmd.Context(), cmd.OutOrStdout(), api, id), ending(x))
	}
	if err := ending(x); err != nil {
		return err
	}
	data, err := api.GetExecutionData(cmd.Context(), &admin.WorkflowExecutionGetDataRequest{Id: id})
	if err == nil {
		literals(cmd.OutOrStdout(), "outputs", data.GetFullOutputs())
	}
	return err
}

func (l launch) create(ctx context.Context, s *session, api service.AdminServiceClient, name string) (*core.WorkflowExecutionIdentifier, error) {
	plan, err := l.plan(ctx, s, api, name)
	if err != nil {
		return nil, err
	}
	inputs, err := parseInputs(plan.GetClosure().GetExpectedInputs(), l.inputs)
	if err != nil {
		return nil, err
	}
	spec := &admin.ExecutionSpec{LaunchPlan: plan.Id, Metadata: &admin.ExecutionMetadata{Principal: "skein"}}
	if l.label != "" {
		spec.ExecutionClusterLabel = &admin.ExecutionClusterLabel{Value: l.label}
	}
	if l.pool != "" {
		spec.ClusterAssignment = &admin.ClusterAssignment{ClusterPoolName: l.pool}
	}
	if len(l.annotations) > 0 {
		spec.Annotations = &admin.Annotations{Values: l.annotations}
	}
	created, err := api.CreateExecution(ctx, &admin.ExecutionCreateRequest{
		Project: s.config.Project, Domain: s.config.Domain, Name: l.name, Spec: spec, Inputs: inputs,
	})
	return created.GetId(), err
}

// plan finds the version that is meant.
func (l launch) plan(ctx context.Context, s *session, api service.AdminServiceClient, name string) (*admin.LaunchPlan, error) {
	named := &admin.NamedEntityIdentifier{Project: s.config.Project, Domain: s.config.Domain, Name: name}
	if l.version != "" {
		plan, err := api.GetLaunchPlan(ctx, &admin.ObjectGetRequest{Id: &core.Identifier{ResourceType: core.ResourceType_LAUNCH_PLAN,
			Project: named.Project, Domain: named.Domain, Name: name, Version: l.version}})
		return plan, advise(err, fault.NotFound, "leave --version out for the active one")
	}
	if plan, err := api.GetActiveLaunchPlan(ctx, &admin.ActiveLaunchPlanRequest{Id: named}); err == nil {
		return plan, nil
	} else if !fault.Is(fromWire(err), fault.NotFound) {
		return nil, err
	}
	list, err := api.ListLaunchPlans(ctx, &admin.ResourceListRequest{Id: named, Limit: 1,
		SortBy: &admin.Sort{Key: "created_at", Direction: admin.Sort_DESCENDING}})
	if err != nil {
		return nil, err
	}
	if len(list.LaunchPlans) == 0 {
		return nil, fault.E(fault.NotFound, "no launch plan %q in %s/%s; register one with skein register or pyflyte register", name, named.Project, named.Domain)
	}
	return list.LaunchPlans[0], nil
}

func parseInputs(expected *core.ParameterMap, pairs []string) (*core.LiteralMap, error) {
	out := &core.LiteralMap{Literals: map[string]*core.Literal{}}
	for _, pair := range pairs {
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, fault.Field("--input", "want name=value, got %q", pair)
		}
		p, known := expected.GetParameters()[name]
		if !known {
			return nil, fault.Field("--input", "%q is no input of this launch plan; it has %s", name, names(expected.GetParameters()))
		}
		l, err := manifest.Literal(p.GetVar().GetType(), value)
		if err != nil {
			return nil, fault.Field("--input", "%s: %v", name, err)
		}
		out.Literals[name] = l
	}
	return out, nil
}
