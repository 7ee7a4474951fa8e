package kubelet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/skein-project/skein/deploy/local/proc"
)

const readyTime = 90 * time.Second

// kubernetesSpecs say how to start the controller manager, the scheduler and kubelet. The first two serve nothing.
func (n *Node) kubernetesSpecs(ctx context.Context) (controllers, scheduler, node proc.Spec, err error) {
	o := n.options
	schedulerConfig, err := o.Cluster.UserKubeconfig(ctx, "system:kube-scheduler", nil)
	if err != nil {
		return controllers, scheduler, node, err
	}
	nodeConfig, err := o.Cluster.UserKubeconfig(ctx, "system:node:"+n.Name, []string{"system:nodes"})
	if err != nil {
		return controllers, scheduler, node, err
	}
	if err := n.writeKubeletConfig(); err != nil {
		return controllers, scheduler, node, err
	}
	admin, err := n.client()
	if err != nil {
		return controllers, scheduler, node, err
	}
	part := func(name, path string, args ...string) proc.Spec {
		return proc.Spec{Name: n.Name + "-" + name, Path: path, Args: args, Env: n.environment(), Start: n.space.Start,
			Log: n.path("logs/" + name + ".log"), Grace: 3 * time.Second, ReadyTimeout: readyTime}
	}
	controllers = part("kube-controller-manager", o.Tools.ControllerManager, "--kubeconfig="+o.Cluster.Kubeconfig,
		"--secure-port=0", "--leader-elect=false", "--service-account-private-key-file="+o.Cluster.AccountsKeyFile(),
		"--root-ca-file="+o.Cluster.CAFile(), "--node-monitor-grace-period="+o.Silence.String(), "--node-monitor-period=2s",
		"--concurrent-serviceaccount-token-syncs=1")
	controllers.Ready = func(ctx context.Context) error { return accountReady(ctx, admin) }
	scheduler = part("kube-scheduler", o.Tools.Scheduler, "--kubeconfig="+schedulerConfig, "--secure-port=0", "--leader-elect=false")
	node = part("kubelet", o.Tools.Kubelet, "--config="+n.path("kubelet.json"), "--kubeconfig="+nodeConfig,
		"--root-dir="+n.path("kubelet"), "--cert-dir="+n.path("pki"), "--hostname-override="+n.Name, "--node-ip="+n.Address.String())
	node.Ready = func(ctx context.Context) error { return nodeReady(ctx, admin, n.Name) }
	return controllers, scheduler, node, nil
}

// writeKubeletConfig writes what kubelet reads: what differs from its defaults.
func (n *Node) writeKubeletConfig() error {
	o := n.options
	cert, err := o.Cluster.ServerCert("kubelet-"+n.Name, n.Address.String())
	if err != nil {
		return err
	}
	reserved, err := othersMemory(o.Of)
	if err != nil {
		return err
	}
	// Names are looked up nowhere: a pod finds that out at once, instead of after a time.
	if err := os.WriteFile(n.path("resolv.conf"), []byte("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"), 0o644); err != nil {
		return err
	}
	config, err := json.MarshalIndent(map[string]any{
		"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
		"address": n.Address.String(), "port": o.Port, "healthzPort": o.HealthPort, "readOnlyPort": 0,
		"tlsCertFile": cert.Cert, "tlsPrivateKeyFile": cert.Key,
		"authentication": map[string]any{"anonymous": map[string]any{"enabled": false}, "webhook": map[string]any{"enabled": false},
			"x509": map[string]any{"clientCAFile": o.Cluster.NodeClientCAFile()}}, // which signed the API server's certificate only
		"authorization":            map[string]any{"mode": "AlwaysAllow"},
		"containerRuntimeEndpoint": "unix://" + n.socket(), "cgroupDriver": "cgroupfs", "cgroupRoot": "/" + n.groups.name, "failCgroupV1": false,
		"failSwapOn": false, "protectKernelDefaults": true, "makeIPTablesUtilChains": false, "resolvConf": n.path("resolv.conf"),
		"podLogsDir": n.path("pods"), "volumePluginDir": n.path("plugins"),
		"systemReserved":                map[string]string{"memory": reserved.String()},
		"imageGCHighThresholdPercent":   100, // nothing could bring an image back
		"evictionHard":                  map[string]string{"memory.available": "100Mi", "nodefs.available": "1Mi", "imagefs.available": "1Mi", "nodefs.inodesFree": "1", "imagefs.inodesFree": "1"},
		"nodeLeaseDurationSeconds":      int(o.Silence.Seconds()),
		"nodeStatusReportFrequency":     "1m",
		"nodeStatusUpdateFrequency":     min(10*time.Second, o.Silence/4).String(),
		"volumeStatsAggPeriod":          "10s",
		"maxPods":                       200,
		"serializeImagePulls":           false,
		"localStorageCapacityIsolation": true,
	}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(n.path("kubelet.json"), config, 0o644)
}

// othersMemory is the part of the machine's memory that this of so many nodes leaves to the others.
func othersMemory(nodes int) (*resource.Quantity, error) {
	raw, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return nil, err
	}
	var kib int64
	if _, err := fmt.Sscanf(string(raw), "MemTotal: %d kB", &kib); err != nil {
		return nil, fmt.Errorf("read MemTotal of /proc/meminfo: %w", err)
	}
	return resource.NewQuantity(kib*1024*int64(nodes-1)/int64(nodes), resource.BinarySI), nil
}

func (n *Node) client() (kubernetes.Interface, error) {
	config, err := n.options.Cluster.RESTConfig()
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(config)
}

// accountReady holds once a pod can be made: admission wants the namespace's account, which a controller makes.
func accountReady(ctx context.Context, client kubernetes.Interface) error {
	_, err := client.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
	return err
}

// nodeReady holds once the node reports that it is ready and nothing keeps pods off it.
func nodeReady(ctx context.Context, client kubernetes.Interface, name string) error {
	node, err := client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if len(node.Spec.Taints) > 0 {
		return fmt.Errorf("it is tainted: %s", node.Spec.Taints[0].Key)
	}
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady && c.Status != corev1.ConditionTrue {
			return errors.New(c.Message)
		}
		if c.Type == corev1.NodeReady {
			return nil
		}
	}
	return errors.New("it has not reported yet")
}
