package cluster_test

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/skein-project/skein/deploy/local/cluster"
	"github.com/skein-project/skein/deploy/local/ports"
	"github.com/skein-project/skein/deploy/local/proc"
	"github.com/skein-project/skein/deploy/local/tools"
)

func options(t *testing.T) (*proc.Group, cluster.Options) {
	t.Helper()
	if testing.Short() {
		t.Skip("runs a real API server")
	}
	built, err := tools.Ensure(t.Context(), func(text string) { t.Log(text) })
	if err != nil {
		t.Fatal(err)
	}
	free, err := ports.Free(3)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	group := proc.NewGroup(dir, slog.New(slog.DiscardHandler))
	t.Cleanup(func() {
		if err := group.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		if left, err := proc.Leftovers(dir); err != nil || len(left) > 0 {
			t.Errorf("left over: %q, %v", left, err)
		}
	})
	return group, cluster.Options{Name: "east", Dir: dir, Tools: built, EtcdPort: free[0], EtcdPeerPort: free[1], APIPort: free[2]}
}

func client(t *testing.T, kubeconfig string) *kubernetes.Clientset {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	made, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func start(t *testing.T, group *proc.Group, o cluster.Options) *cluster.Cluster {
	t.Helper()
	began := time.Now()
	c, err := cluster.Start(t.Context(), group, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("ready in %s", time.Since(began).Round(10*time.Millisecond))
	return c
}

func TestClusterServesLimitsAndKeepsItsState(t *testing.T) {
	group, o := options(t)
	c := start(t, group, o)
	ctx := t.Context()
	admin := client(t, c.Kubeconfig)

	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "flytesnacks-development"}}
	if _, err := admin.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Spec: corev1.PodSpec{
		Containers: []corev1.Container{{Name: "main", Image: "any"}}}}
	if _, err := admin.CoreV1().Pods(namespace.Name).Create(ctx, pod, metav1.CreateOptions{}); err != nil {
		t.Fatalf("a pod without a service account: %v", err)
	}
	version, err := admin.Discovery().ServerVersion()
	if err != nil || version.GitVersion != tools.Version || version.Minor != "37" {
		t.Errorf("version %+v, %v", version, err)
	}
	checkRBAC(t, c, admin, namespace.Name)

	limited, err := c.UserKubeconfig(ctx, "system:propeller", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, crash := range []func(*proc.Process) error{(*proc.Process).Kill9, func(p *proc.Process) error { return p.Stop(ctx) }} {
		if err := crash(c.APIServer); err != nil {
			t.Fatal(err)
		}
		if err := crash(c.Etcd); err != nil {
			t.Fatal(err)
		}
		if err := c.Restart(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := client(t, limited).CoreV1().Pods(namespace.Name).Get(ctx, "a", metav1.GetOptions{}); err != nil {
			t.Fatalf("after the restart, the pod and the user's rights should be there: %v", err)
		}
	}
}

// checkRBAC sees that a user may do what its role says and nothing else.
func checkRBAC(t *testing.T, c *cluster.Cluster, admin *kubernetes.Clientset, namespace string) {
	t.Helper()
	ctx := t.Context()
	path, err := c.UserKubeconfig(ctx, "system:propeller", []string{"propellers"})
	if err != nil {
		t.Fatal(err)
	}
	user := client(t, path)
	if _, err := user.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("without a role: %v", err)
	}
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "propeller"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get", "list"}}}}
	binding := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "propeller"},
		RoleRef:  rbacv1.RoleRef{Kind: "ClusterRole", Name: "propeller"},
		Subjects: []rbacv1.Subject{{Kind: "User", Name: "system:propeller"}}}
	if _, err := admin.RbacV1().ClusterRoles().Create(ctx, role, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.RbacV1().ClusterRoleBindings().Create(ctx, binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second) // the authorizer's own watch has to see the binding
	for {
		_, err := user.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("with a role: %v", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	if _, err := user.CoreV1().Secrets(namespace).List(ctx, metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("what the role does not hold: %v", err)
	}
}

func TestPortInUseIsSaid(t *testing.T) {
	group, o := options(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	o.APIPort = listener.Addr().(*net.TCPAddr).Port
	_, err = cluster.Start(t.Context(), group, o)
	if err == nil || !strings.Contains(err.Error(), "in use by another program") {
		t.Errorf("%v", err)
	}
}

func TestBadFlagIsQuotedAndNothingIsLeft(t *testing.T) {
	group, o := options(t)
	o.APIServerArgs = []string{"--no-such-flag"}
	_, err := cluster.Start(t.Context(), group, o)
	if err == nil || !strings.Contains(err.Error(), "unknown flag: --no-such-flag") {
		t.Errorf("%v", err)
	}
	if left, _ := proc.Leftovers(group.State()); len(left) > 0 {
		t.Errorf("left over: %q", left)
	}
}
