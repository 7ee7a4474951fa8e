package capi

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"

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
	live     client.Reader
	events   events.EventRecorder // nil before SetUp: they are not told
	selector labels.Selector
	silence  silence
	now      func() time.Time
}

// New makes a Controller. c may read from a cache, live must not. Errors are
// Invalid.
func New(c client.Client, live client.Reader, o Options) (*Controller, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	selector, err := labels.Parse(o.Selector)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "selector: %q is not a label selector", o.Selector)
	}
	return &Controller{Options: o, client: c, live: live, selector: selector, silence: silence{}, now: time.Now}, nil
}

// SetUp registers the Controller with a manager.
func (c *Controller) SetUp(m ctrl.Manager) error {
	c.events = m.GetEventRecorder(fieldOwner)
	if err := m.Add(manager.RunnableFunc(c.sweeps)); err != nil {
		return err
	}
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
	if !cluster.DeletionTimestamp.IsZero() {
		return c.leave(ctx, &cluster)
	}
	plane, err := planeOf(&cluster)
	if err != nil {
		return ctrl.Result{}, c.warn(ctx, &cluster, reasonName, err.Error())
	}
	if !ready(&cluster) {
		return ctrl.Result{}, nil // a change of its status brings it back
	}
	if !ours {
		if err := c.patch(ctx, &cluster, func() { controllerutil.AddFinalizer(&cluster, Finalizer) }); err != nil {
			return ctrl.Result{}, err
		}
	}
	if err := c.hook(ctx, &cluster, true); err != nil {
		return ctrl.Result{}, err
	}
	return c.arrive(ctx, &cluster, plane)
}

// ready reports whether a member can be installed.
func ready(c *clusterv1.Cluster) bool {
	i := c.Status.Initialization
	return i.InfrastructureProvisioned != nil && *i.InfrastructureProvisioned &&
		i.ControlPlaneInitialized != nil && *i.ControlPlaneInitialized
}

// arrive registers a cluster, and installs its member until it has joined, and
// again when the member has been away for so long that it cannot come back.
func (c *Controller) arrive(ctx context.Context, cluster *clusterv1.Cluster, plane string) (ctrl.Result, error) {
	var domains []string
	for _, d := range cluster.Status.FailureDomains {
		domains = append(domains, d.Name)
	}
	carried, left := c.Rules.labels(cluster.Labels, domains)
	if len(left) > 0 {
		c.Log.Warn("labels that the control plane cannot hold were left out", "cluster", plane, "labels", left)
	}
	registration := c.Rules.registration(plane, ownerOf(cluster, c.Name), carried)
	state, err := c.Registry.Ensure(ctx, registration)
	if fault.Is(err, fault.Conflict) {
		return ctrl.Result{RequeueAfter: c.Refresh}, c.warn(ctx, cluster, reasonOwner, err.Error())
	}
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("register %s: %w", plane, err)
	}
	if err := c.annotate(ctx, cluster, map[string]string{AnnotationRegistered: plane}); err != nil {
		return ctrl.Result{}, err
	}
	switch {
	case state.Lost:
		return ctrl.Result{RequeueAfter: c.Refresh}, c.say(ctx, cluster, "declared lost")
	case !state.Seen.IsZero() && !c.silence.lasts(state, c.now(), c.Options):
		return ctrl.Result{RequeueAfter: c.Refresh}, c.say(ctx, cluster, "joined"+renamed(cluster, plane))
	}
	until, err := time.Parse(time.RFC3339, cluster.Annotations[AnnotationToken])
	if err == nil && c.now().Before(until) {
		return ctrl.Result{RequeueAfter: c.Poll}, nil // installed; it will join
	}
	return c.install(ctx, cluster, registration)
}

func (c *Controller) install(ctx context.Context, cluster *clusterv1.Cluster, r Registration) (ctrl.Result, error) {
	kubeconfig, err := c.kubeconfig(ctx, cluster)
	if err != nil {
		return ctrl.Result{}, err
	}
	join, err := c.Registry.Token(ctx, r)
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("make a join token for %s: %w", r.Name, err)
	}
	if err := c.Install.Install(ctx, kubeconfig, join); err != nil {
		return ctrl.Result{}, fmt.Errorf("install the member of %s: %w", r.Name, err)
	}
	c.Log.Info("member installed", "cluster", r.Name)
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
