package service

import (
	"context"
	"crypto/rand"
	"strings"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
)

// checkSpec checks what a caller sets on an execution.
func checkSpec(spec *admin.ExecutionSpec) error {
	if err := checkParallelism("spec.max_parallelism", spec.GetMaxParallelism()); err != nil {
		return err
	}
	if err := checkLabels("spec.labels", spec.GetLabels().GetValues()); err != nil {
		return err
	}
	if err := checkAnnotations("spec.annotations", spec.GetAnnotations().GetValues()); err != nil {
		return err
	}
	if err := checkEnvs("spec.envs", spec.GetEnvs().GetValues()); err != nil {
		return err
	}
	if err := checkAccount("spec.security_context.run_as.k8s_service_account", spec.GetSecurityContext().GetRunAs().GetK8SServiceAccount()); err != nil {
		return err
	}
	if pool := spec.GetClusterAssignment().GetClusterPoolName(); pool != "" {
		if err := text("spec.cluster_assignment.cluster_pool_name", pool); err != nil {
			return err
		}
	}
	if _, ok := admin.ExecutionMetadata_ExecutionMode_name[int32(spec.GetMetadata().GetMode())]; !ok {
		return fault.Field("spec.metadata.mode", "%d is not a mode", spec.GetMetadata().GetMode())
	}
	if err := prose("spec.metadata.principal", spec.GetMetadata().GetPrincipal()); err != nil {
		return err
	}
	if err := checkRawPrefix(spec.GetRawOutputDataConfig().GetOutputLocationPrefix()); err != nil {
		return err
	}
	for _, n := range spec.GetNotifications().GetNotifications() {
		if err := checkNotification(n); err != nil {
			return err
		}
	}
	_, err := parseSelector(spec.GetExecutionClusterLabel().GetValue())
	return err
}

// checkRawPrefix wants a place that could be one. Only tasks write there, with
// credentials of their own: whether they can is for them to find out.
func checkRawPrefix(prefix string) error {
	const at = "spec.raw_output_data_config.output_location_prefix"
	scheme, rest, isURI := strings.Cut(prefix, "://")
	switch {
	case prefix == "":
		return nil
	case !strings.HasPrefix(prefix, "/") && (!isURI || scheme == ""):
		return fault.Field(at, "%s is neither an absolute path nor a URI", fault.Quote(prefix))
	case isURI && scheme != "file" && (rest == "" || strings.HasPrefix(rest, "/")):
		return fault.Field(at, "%s names no bucket; it should read s3://bucket/prefix", fault.Quote(prefix))
	}
	return prose(at, prefix)
}

func checkNotification(n *admin.Notification) error {
	const at = "spec.notifications"
	if len(n.GetEmail().GetRecipientsEmail())+len(n.GetSlack().GetRecipientsEmail())+len(n.GetPagerDuty().GetRecipientsEmail()) == 0 {
		return fault.Field(at, "holds one without recipients")
	}
	for _, p := range n.GetPhases() {
		switch p {
		case core.WorkflowExecution_SUCCEEDED, core.WorkflowExecution_FAILED, core.WorkflowExecution_ABORTED, core.WorkflowExecution_TIMED_OUT:
		default:
			return fault.Field(at, "phase %s is not one that ends an execution", p)
		}
	}
	return nil
}

func checkParallelism(field string, n int32) error {
	if n < 0 || n > MaxParallelismLimit {
		return fault.Field(field, "must lie between 0 and %d, is %d", MaxParallelismLimit, n)
	}
	return nil
}

// checkAnnotations checks that Kubernetes would take the annotations.
func checkAnnotations(field string, annotations map[string]string) error {
	for k := range annotations {
		if problems := validation.IsQualifiedName(strings.ToLower(k)); len(problems) > 0 {
			return fault.Field(field, "key %s: %s", fault.Quote(k), problems[0])
		}
	}
	return nil
}

// checkEnvs checks that Kubernetes, and a process, would take the variables.
func checkEnvs(field string, envs []*core.KeyValuePair) error {
	for _, e := range envs {
		if problems := validation.IsRelaxedEnvVarName(e.GetKey()); len(problems) > 0 {
			return fault.Field(field, "%s cannot name a variable: %s", fault.Quote(e.GetKey()), problems[0])
		}
		if err := prose(field+"."+e.GetKey(), e.GetValue()); err != nil {
			return err
		}
	}
	return nil
}

// checkAccount checks that a service account could have the name.
func checkAccount(field, name string) error {
	if problems := validation.IsDNS1123Subdomain(name); name != "" && len(problems) > 0 {
		return fault.Field(field, "%s: %s", fault.Quote(name), problems[0])
	}
	return nil
}

// effectiveSpec merges an execution's spec with its launch plan's: labels,
// annotations and variables come whole from the first that has any, the other
// fields one by one (contract 6.3). Inputs are kept beside the spec.
func (s *Service) effectiveSpec(given *admin.ExecutionSpec, plan *admin.LaunchPlanSpec) *admin.ExecutionSpec {
	spec := clone(given)
	spec.Inputs = nil // kept in a column of its own
	if spec.Metadata == nil {
		spec.Metadata = &admin.ExecutionMetadata{}
	}
	spec.Metadata.SystemMetadata = nil // ours to fill in
	if spec.MaxParallelism == 0 {
		spec.MaxParallelism = plan.GetMaxParallelism()
	}
	if spec.MaxParallelism == 0 {
		spec.MaxParallelism = s.cfg.MaxParallelism
	}
	if len(spec.GetLabels().GetValues()) == 0 {
		spec.Labels = plan.GetLabels()
	}
	if len(spec.GetAnnotations().GetValues()) == 0 {
		spec.Annotations = plan.GetAnnotations()
	}
	if len(spec.GetEnvs().GetValues()) == 0 {
		spec.Envs = plan.GetEnvs()
	}
	if spec.GetRawOutputDataConfig().GetOutputLocationPrefix() == "" {
		spec.RawOutputDataConfig = plan.GetRawOutputDataConfig()
	}
	if spec.Interruptible == nil {
		spec.Interruptible = plan.GetInterruptible()
	}
	spec.OverwriteCache = spec.GetOverwriteCache() || plan.GetOverwriteCache()
	if spec.QualityOfService == nil {
		spec.QualityOfService = plan.GetQualityOfService()
	}
	if spec.GetClusterAssignment().GetClusterPoolName() == "" {
		spec.ClusterAssignment = plan.GetClusterAssignment()
	}
	mergeIdentity(spec, plan)
	return spec
}

// mergeIdentity finds whom the execution runs as; the deprecated auth fields
// come last.
func mergeIdentity(spec *admin.ExecutionSpec, plan *admin.LaunchPlanSpec) {
	if runsAs(spec.GetSecurityContext()) {
		return
	}
	var identity *core.Identity
	if runsAs(plan.GetSecurityContext()) {
		identity = plan.GetSecurityContext().GetRunAs()
	} else {
		for _, role := range []*admin.AuthRole{spec.GetAuthRole(), plan.GetAuthRole()} { // old clients send it
			if identity == nil && role.GetKubernetesServiceAccount()+role.GetAssumableIamRole() != "" {
				identity = &core.Identity{K8SServiceAccount: role.GetKubernetesServiceAccount(), IamRole: role.GetAssumableIamRole()}
			}
		}
	}
	if identity == nil {
		return
	}
	if spec.SecurityContext == nil {
		spec.SecurityContext = &core.SecurityContext{}
	}
	spec.SecurityContext.RunAs = identity
}

func runsAs(c *core.SecurityContext) bool {
	return c.GetRunAs().GetIamRole()+c.GetRunAs().GetK8SServiceAccount() != ""
}

// traceparent is the W3C form of the call's span, of which the execution's one
// trace grows; a call without a span begins one.
func traceparent(ctx context.Context) string {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		var t trace.TraceID
		var sp trace.SpanID
		_, _ = rand.Read(t[:]) // never fails
		_, _ = rand.Read(sp[:])
		ctx = trace.ContextWithSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: t, SpanID: sp, TraceFlags: trace.FlagsSampled,
		}))
	}
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier["traceparent"]
}

// principal is who calls, for the record. With authentication off nobody is
// known.
func principal(context.Context) string { return "anonymous" }

func validPrefix(s string, n int) string { return strings.ToValidUTF8(s[:n], "") }
