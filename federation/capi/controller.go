package capi

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	"github.com/skein-project/skein/api/fault"
)

// AddToScheme adds the kinds that a Controller's client must know.
func AddToScheme(s *runtime.Scheme) error {
	if err := clusterv1.AddToScheme(s); err != nil {
		return err
	}
	return corev1.AddToScheme(s)
}

// Controller reconciles the Clusters of one management cluster.
type Controller struct {
	Options
	client   client.Client
	selector labels.Selector
	now      func() time.Time
}

// New makes a Controller. Errors are Invalid.
func New(c client.Client, o Options) (*Controller, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	selector, err := labels.Parse(o.Selector)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "selector: %q is not a label selector", o.Selector)
	}
	return &Controller{Options: o, client: c, selector: selector, now: time.Now}, nil
}

// SetUp registers the Controller with a manager.
func (c *Controller) SetUp(m ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(m).Named("skein-data-planes").For(&clusterv1.Cluster{}).
		Watches(&clusterv1.Machine{}, handler.EnqueueRequestsFromMapFunc(func(_ context.Context, o client.Object) []ctrl.Request {
			return []ctrl.Request{{NamespacedName: types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetLabels()[clusterv1.ClusterNameLabel]}}}
		})).Complete(c)
}

// Reconcile brings one Cluster's data plane a step further.
func (c *Controller) Reconcile(ctx context.Context, r ctrl.Request) (ctrl.Result, error) {
	var cluster clusterv1.Cluster
	if err := c.client.Get(ctx, r.NamespacedName, &cluster); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	ours := controllerutil.ContainsFinalizer(&cluster, Finalizer)
	if !ours && (!c.selector.Matches(labels.Set(cluster.Labels)) || !cluster.DeletionTimestamp.IsZero()) {
		return ctrl.Result{}, nil
	}
	name, err := name(&cluster)
	if err != nil {
		return ctrl.Result{}, c.say(ctx, &cluster, err.Error())
	}
	if !cluster.DeletionTimestamp.IsZero() {
		return c.leave(ctx, &cluster, name)
	}
	if !ready(&cluster) {
		return ctrl.Result{}, nil // a change of its status brings it back
	}
	if controllerutil.AddFinalizer(&cluster, Finalizer) {
		if err := c.client.Update(ctx, &cluster); err != nil {
			return ctrl.Result{}, err
		}
	}
	if err := c.hook(ctx, &cluster, true); err != nil {
		return ctrl.Result{}, err
	}
	return c.arrive(ctx, &cluster, name)
}

// ready reports whether a member can be installed.
func ready(c *clusterv1.Cluster) bool {
	i := c.Status.Initialization
	return i.InfrastructureProvisioned != nil && *i.InfrastructureProvisioned &&
		i.ControlPlaneInitialized != nil && *i.ControlPlaneInitialized
}

// arrive registers a cluster, and installs its member until it has joined.
func (c *Controller) arrive(ctx context.Context, cluster *clusterv1.Cluster, name string) (ctrl.Result, error) {
	var domains []string
	for _, d := range cluster.Status.FailureDomains {
		domains = append(domains, d.Name)
	}
	registration, left := c.Rules.registration(name, c.Name, cluster.Labels, domains)
	if len(left) > 0 {
		c.Log.Warn("labels that the control plane cannot hold were left out", "cluster", name, "labels", left)
	}
	state, err := c.Registry.Ensure(ctx, registration)
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("register %s: %w", name, err)
	}
	if state.Joined {
		return ctrl.Result{RequeueAfter: c.Refresh}, c.say(ctx, cluster, "joined")
	}
	until, err := time.Parse(time.RFC3339, cluster.Annotations[AnnotationToken])
	if err == nil && c.now().Before(until) {
		return ctrl.Result{RequeueAfter: c.Poll}, nil // installed; it will join
	}
	kubeconfig, err := c.kubeconfig(ctx, cluster)
	if err != nil {
		return ctrl.Result{}, err
	}
	join, err := c.Registry.Token(ctx, name)
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("make a join token for %s: %w", name, err)
	}
	if err := c.Install.Install(ctx, kubeconfig, join); err != nil {
		return ctrl.Result{}, fmt.Errorf("install the member of %s: %w", name, err)
	}
	c.Log.Info("member installed", "cluster", name)
	return ctrl.Result{RequeueAfter: c.Poll}, c.annotate(ctx, cluster, map[string]string{
		AnnotationToken: join.Expires.UTC().Format(time.RFC3339), AnnotationState: "installed"})
}

// kubeconfig reads the secret that Cluster API keeps beside the Cluster.
func (c *Controller) kubeconfig(ctx context.Context, cluster *clusterv1.Cluster) ([]byte, error) {
	var secret corev1.Secret
	key := types.NamespacedName{Namespace: cluster.Namespace, Name: cluster.Name + "-kubeconfig"}
	if err := c.client.Get(ctx, key, &secret); err != nil {
		return nil, fmt.Errorf("read the kubeconfig of %s: %w", cluster.Name, err)
	}
	if len(secret.Data["value"]) == 0 {
		return nil, fault.E(fault.Precondition, "secret %s has no key \"value\"", key)
	}
	return secret.Data["value"], nil
}

// leave drains, removes and lets go.
func (c *Controller) leave(ctx context.Context, cluster *clusterv1.Cluster, name string) (ctrl.Result, error) {
	if !controllerutil.ContainsFinalizer(cluster, Finalizer) {
		return ctrl.Result{}, nil
	}
	empty, why, err := empty(ctx, c.Options, name)
	if err != nil {
		return ctrl.Result{}, err
	}
	if !empty {
		return ctrl.Result{RequeueAfter: c.Poll}, c.say(ctx, cluster, why)
	}
	if err := c.hook(ctx, cluster, false); err != nil {
		return ctrl.Result{}, err
	}
	controllerutil.RemoveFinalizer(cluster, Finalizer)
	if err := c.client.Update(ctx, cluster); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	c.Log.Info("cluster let go", "cluster", name, "state", why)
	return ctrl.Result{}, nil
}

// empty drains a data plane and removes it; ok says that it may be deleted.
func empty(ctx context.Context, o Options, name string) (ok bool, why string, err error) {
	state, err := o.Registry.Drain(ctx, name, o.Drain)
	switch {
	case fault.Is(err, fault.NotFound):
		return true, "removed", nil
	case err != nil:
		return false, "", fmt.Errorf("drain %s: %w", name, err)
	case state.Remaining == 0:
		if err := o.Registry.Remove(ctx, name); err != nil {
			return false, "", fmt.Errorf("remove %s: %w", name, err)
		}
		return true, "removed", nil
	case state.Expired && o.AtDeadline == LetGo:
		return true, fmt.Sprintf("let go with %d executions", state.Remaining), nil
	case state.Expired:
		return false, fmt.Sprintf("drain expired with %d executions", state.Remaining), nil
	}
	return false, fmt.Sprintf("draining: %d executions", state.Remaining), nil
}

func (c *Controller) say(ctx context.Context, cluster *clusterv1.Cluster, state string) error {
	return c.annotate(ctx, cluster, map[string]string{AnnotationState: state})
}

// annotate writes what has changed.
func (c *Controller) annotate(ctx context.Context, o client.Object, set map[string]string) error {
	before := o.DeepCopyObject().(client.Object)
	have := o.GetAnnotations()
	if have == nil {
		have = map[string]string{}
	}
	changed := false
	for k, v := range set {
		changed = changed || have[k] != v
		have[k] = v
	}
	if !changed {
		return nil
	}
	o.SetAnnotations(have)
	return client.IgnoreNotFound(c.client.Patch(ctx, o, client.MergeFrom(before)))
}
