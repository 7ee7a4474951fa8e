package cli

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/service"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
)

const (
	// completePatience is how long a shell waits for us at a press of Tab.
	completePatience = time.Second
	completeLimit    = 100
)

// candidates asks the control plane for the words that may come next. An error
// is no candidate: a shell has no place for messages.
type candidates func(ctx context.Context, args []string) ([]string, error)

// complete makes a completion of candidates. It reads the configuration as the
// command itself would, with the flags that were typed so far.
func (s *session) complete(ask candidates) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(cmd.Context(), completePatience)
		defer cancel()
		if s.load(cmd) != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		words, err := ask(ctx, args)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return words, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

// first completes only the first argument.
func first(ask candidates) candidates {
	return func(ctx context.Context, args []string) ([]string, error) {
		if len(args) > 0 {
			return nil, nil
		}
		return ask(ctx, args)
	}
}

// partial is for a word that goes on after what is completed, such as "text=".
func partial(of cobra.CompletionFunc) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		words, directive := of(cmd, args, word)
		return words, directive | cobra.ShellCompDirectiveNoSpace
	}
}

// completeFlag panics for a flag that the command does not have: a mistake in
// this package, which every start would show.
func completeFlag(cmd *cobra.Command, flag string, f cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, f); err != nil {
		panic(err)
	}
}

func (s *session) flyte(call func(service.AdminServiceClient) error) error {
	conn, err := s.config.DialFlyte()
	if err != nil {
		return err
	}
	defer conn.Close()
	return call(service.NewAdminServiceClient(conn))
}

func (s *session) scope() *admin.NamedEntityIdentifier {
	return &admin.NamedEntityIdentifier{Project: s.config.Project, Domain: s.config.Domain}
}

var newest = &admin.Sort{Key: "created_at", Direction: admin.Sort_DESCENDING}

func (s *session) executionNames(ctx context.Context, _ []string) (names []string, err error) {
	err = s.flyte(func(api service.AdminServiceClient) error {
		list, err := api.ListExecutions(ctx, &admin.ResourceListRequest{Id: s.scope(), Limit: completeLimit, SortBy: newest})
		for _, x := range list.GetExecutions() {
			c := x.GetClosure()
			names = append(names, cobra.CompletionWithDesc(x.GetId().GetName(), fmt.Sprintf("%s %s, %s ago",
				c.GetWorkflowId().GetName(), flow.ExecutionPhase(c.GetPhase()), age(c.GetCreatedAt()))))
		}
		return err
	})
	return names, err
}

func (s *session) launchPlanNames(ctx context.Context, _ []string) (names []string, err error) {
	err = s.flyte(func(api service.AdminServiceClient) error {
		list, err := api.ListLaunchPlanIds(ctx, &admin.NamedEntityIdentifierListRequest{
			Project: s.config.Project, Domain: s.config.Domain, Limit: completeLimit})
		for _, id := range list.GetEntities() {
			names = append(names, id.GetName())
		}
		return err
	})
	return names, err
}

func (s *session) launchPlanVersions(ctx context.Context, args []string) (versions []string, err error) {
	if len(args) == 0 {
		return nil, nil
	}
	named := s.scope()
	named.Name = args[0]
	err = s.flyte(func(api service.AdminServiceClient) error {
		list, err := api.ListLaunchPlans(ctx, &admin.ResourceListRequest{Id: named, Limit: completeLimit, SortBy: newest})
		for _, plan := range list.GetLaunchPlans() {
			versions = append(versions, plan.GetId().GetVersion())
		}
		return err
	})
	return versions, err
}

// inputNames are the inputs of the launch plan that is named, each with its
// "=" behind it.
func (s *session) inputNames(l *launch) candidates {
	return func(ctx context.Context, args []string) (inputs []string, err error) {
		if len(args) == 0 {
			return nil, nil
		}
		err = s.flyte(func(api service.AdminServiceClient) error {
			plan, err := l.plan(ctx, s, api, args[0])
			for _, name := range slices.Sorted(maps.Keys(plan.GetClosure().GetExpectedInputs().GetParameters())) {
				inputs = append(inputs, name+"=")
			}
			return err
		})
		return inputs, err
	}
}

func (s *session) nodeNames(ctx context.Context, args []string) (names []string, err error) {
	if len(args) == 0 {
		return nil, nil
	}
	err = s.flyte(func(api service.AdminServiceClient) error {
		list, err := api.ListNodeExecutions(ctx, &admin.NodeExecutionListRequest{WorkflowExecutionId: s.execution(args[0]), Limit: completeLimit})
		for _, n := range list.GetNodeExecutions() {
			names = append(names, cobra.CompletionWithDesc(n.GetId().GetNodeId(), flow.NodePhase(n.GetClosure().GetPhase()).String()))
		}
		return err
	})
	return names, err
}

func (s *session) projectNames(ctx context.Context, _ []string) (names []string, err error) {
	return s.projects(ctx, func(p *admin.Project) []string {
		return []string{cobra.CompletionWithDesc(p.GetId(), p.GetDescription())}
	})
}

func (s *session) domainNames(ctx context.Context, _ []string) (names []string, err error) {
	return s.projects(ctx, func(p *admin.Project) (domains []string) {
		for _, d := range p.GetDomains() {
			if p.GetId() == s.config.Project {
				domains = append(domains, d.GetId())
			}
		}
		return domains
	})
}

func (s *session) projects(ctx context.Context, each func(*admin.Project) []string) (out []string, err error) {
	err = s.flyte(func(api service.AdminServiceClient) error {
		list, err := api.ListProjects(ctx, &admin.ProjectListRequest{Limit: completeLimit})
		for _, p := range list.GetProjects() {
			out = append(out, each(p)...)
		}
		return err
	})
	return out, err
}

func (s *session) clusterNames(ctx context.Context, _ []string) ([]string, error) {
	return s.fleet(ctx, func(c *skeinv1.Cluster) []string {
		return []string{cobra.CompletionWithDesc(c.GetName(), cmp.Or(c.GetHealth(), "?")+" "+labels(c.GetLabels()))}
	})
}

func (s *session) clusterLabels(ctx context.Context, _ []string) ([]string, error) {
	all, err := s.fleet(ctx, func(c *skeinv1.Cluster) (out []string) {
		for k, v := range c.GetLabels() {
			out = append(out, k+"="+v)
		}
		return out
	})
	slices.Sort(all)
	return slices.Compact(all), err
}

func (s *session) fleet(ctx context.Context, each func(*skeinv1.Cluster) []string) (out []string, err error) {
	err = s.clusters(func(api skeinv1.ClusterServiceClient) error {
		list, err := api.ListClusters(ctx, &skeinv1.ListClustersRequest{})
		for _, c := range list.GetClusters() {
			out = append(out, each(c)...)
		}
		return err
	})
	return out, err
}

func (s *session) policyScopes(ctx context.Context, _ []string) (scopes []string, err error) {
	err = s.policies(func(api skeinv1.PolicyServiceClient) error {
		list, err := api.ListPolicies(ctx, &skeinv1.ListPoliciesRequest{})
		for _, p := range list.GetPolicies() {
			scopes = append(scopes, p.GetScope())
		}
		return err
	})
	return scopes, err
}

func (s *session) replicaNames(ctx context.Context, _ []string) (ids []string, err error) {
	err = s.controlPlane(func(api skeinv1.ControlPlaneServiceClient) error {
		plane, err := api.GetControlPlane(ctx, &skeinv1.GetControlPlaneRequest{})
		for _, r := range plane.GetReplicas() {
			ids = append(ids, r.GetId())
		}
		return err
	})
	return ids, err
}
