package kubelet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/skein-project/skein/deploy/local/image"
	"github.com/skein-project/skein/deploy/local/proc"
)

// containerdConfig: restrict_oom_score_adj, since without CAP_SYS_RESOURCE nobody may lower one, and runc fails.
const containerdConfig = `version = 2
root = %[1]q
state = %[2]q
[grpc]
  address = %[3]q
[ttrpc]
  address = %[4]q
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = %[5]q
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = %[6]q
    conf_dir = %[7]q
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
        BinaryName = %[8]q
[plugins."io.containerd.internal.v1.opt"]
  path = %[9]q
`

// network gives each pod a pair of interfaces of its own; addresses are handed out from a folder.
const network = `{"cniVersion": "0.4.0", "name": "skein", "plugins": [{"type": "ptp", "ipMasq": false, "ipam": {
  "type": "host-local", "dataDir": %[1]q, "ranges": [[{"subnet": "10.89.%[2]d.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
`

// socket is where containerd listens. Such a path may have 108 bytes, so it is not in the state folder; /run is of the
// node's own mount namespace by then.
func (n *Node) socket() string { return n.path("containerd.sock") }

// maxSocket is the longest path of a Unix socket, less what containerd appends to ours.
const maxSocket = 107 - len(".ttrpc")

func (n *Node) containerdSpec() (proc.Spec, error) {
	if len(n.socket()) > maxSocket {
		return proc.Spec{}, fmt.Errorf("the path %s is longer than a socket's may be (%d): use a shorter state folder", n.socket(), maxSocket)
	}
	config := fmt.Sprintf(containerdConfig, n.path("containerd"), n.path("containerd-state"), n.socket(), n.socket()+".ttrpc",
		image.PauseName, n.runtime.plugins, n.path("cni"), n.runtime.runc, n.path("containerd-opt"))
	if err := errors.Join(
		os.WriteFile(n.path("containerd.toml"), []byte(config), 0o644),
		os.WriteFile(n.path("cni/10-skein.conflist"), fmt.Appendf(nil, network, n.path("addresses"), n.options.Number), 0o644),
		os.RemoveAll(n.path("addresses")), // of pods of an earlier life
	); err != nil {
		return proc.Spec{}, err
	}
	return proc.Spec{
		Name: n.Name + "-containerd", Path: n.runtime.containerd, Args: []string{"--config", n.path("containerd.toml"), "--log-level", "info"},
		Env: n.environment(), Log: n.path("logs/containerd.log"), Start: n.space.Start, Grace: 5 * time.Second,
		Ready: func(ctx context.Context) error { return n.ctr(ctx, nil, "version") }, ReadyTimeout: time.Minute,
	}, nil
}

func (n *Node) environment() []string {
	return []string{"PATH=" + filepath.Dir(n.runtime.runc) + ":" + os.Getenv("PATH") + ":/usr/sbin:/sbin", "HOME=" + n.options.Dir}
}

// ctr runs containerd's own client.
func (n *Node) ctr(ctx context.Context, stdin io.Reader, args ...string) error {
	cmd := exec.CommandContext(ctx, n.runtime.ctr, append([]string{"--address", n.socket(), "--namespace", "k8s.io"}, args...)...)
	var said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &said, &said
	if err := n.space.Start(cmd); err != nil {
		return err
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("ctr %s: %w: %s", args[0], err, bytes.TrimSpace(said.Bytes()))
	}
	return nil
}

// importImages hands the images to containerd. What it has of them already is not unpacked again.
func (n *Node) importImages(ctx context.Context) error {
	for _, im := range n.options.Images {
		began := time.Now()
		from, to := io.Pipe()
		go func() { to.CloseWithError(im.Write(to)) }()
		err := n.ctr(ctx, from, "images", "import", "-")
		_ = from.Close() // ends the writer, if ctr did not read to the end
		if err != nil {
			return fmt.Errorf("import image %s: %w", im.Names[0], err)
		}
		if d := time.Since(began); d > time.Second {
			n.options.Log(fmt.Sprintf("node %s has image %s (%d MB) after %s", n.Name, im.Names[0], im.Size()>>20, d.Round(100*time.Millisecond)))
		}
	}
	return nil
}
