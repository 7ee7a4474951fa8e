package act

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/propeller/workflow"
)

// write patches the status with what a step changed.
func (t *turn) write(ctx context.Context, s *workflow.Step) (int64, error) {
	if !s.Changed {
		return 0, nil
	}
	status, err := patchOf(t.wf, t.w.View.Status.Nodes, s)
	if err != nil {
		return 0, err
	}
	for try := 0; ; try++ {
		_, err := t.patch(ctx, t.Client.Status(), map[string]any{"status": status})
		if err == nil {
			return s.Status.Sequence, nil
		}
		if try == maxTries || !apierrors.IsConflict(err) || !t.sameStatus(ctx) {
			return 0, fmt.Errorf("write the status: %w", err)
		}
	}
}

// maxTries bounds how often one status is written over newer specs.
const maxTries = 5

// sameStatus reads the object again, and reports whether only something else
// than its status was written since: the member writes the spec while we act.
// What the step has started must be recorded then, for the next step to see:
// an abort stops only what the status names.
func (t *turn) sameStatus(ctx context.Context) bool {
	now := &v1alpha1.FlyteWorkflow{}
	if err := t.Live.Get(ctx, client.ObjectKeyFromObject(t.wf), now); err != nil {
		return false
	}
	t.version = now.ResourceVersion
	return now.UID == t.wf.UID && now.Status.Sequence == t.wf.Status.Sequence
}

// patchOf holds only what changed, unless the nodes are or become compressed.
func patchOf(wf *v1alpha1.FlyteWorkflow, base map[string]v1alpha1.NodeStatus, s *workflow.Step) (map[string]any, error) {
	raw, err := json.Marshal(s.Status)
	if err != nil {
		return nil, fmt.Errorf("write the status: %w", err)
	}
	patch := map[string]any{}
	if err := json.Unmarshal(raw, &patch); err != nil {
		return nil, fmt.Errorf("write the status: %w", err)
	}
	if len(s.Nodes) == 0 {
		return patch, nil
	}
	// Few nodes can not be too many: a full encoding would cost more than the step.
	if len(wf.Status.CompressedNodes) == 0 && len(base)+len(s.Nodes) < 200 {
		patch["nodes"] = s.Nodes
		return patch, nil
	}
	all := maps.Clone(base)
	if all == nil {
		all = map[string]v1alpha1.NodeStatus{}
	}
	for id, n := range s.Nodes {
		all[id] = *n
	}
	next := v1alpha1.FlyteWorkflowStatus{CompressedNodes: wf.Status.CompressedNodes}
	if err := v1alpha1.SetNodes(&next, all); err != nil {
		return nil, err
	}
	if next.CompressedNodes == nil {
		patch["nodes"] = s.Nodes
		return patch, nil
	}
	patch["nodes"], patch["compressedNodes"] = nil, next.CompressedNodes
	return patch, nil
}

// patcher is what a client and its status writer have in common.
type patcher[O any] interface {
	Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...O) error
}

// patch applies a merge patch to the object as it was read: somebody else's
// write in between is a conflict. It gives the new resource version.
func (t *turn) patch(ctx context.Context, to any, body map[string]any) (string, error) {
	meta, ok := body["metadata"].(map[string]any)
	if !ok {
		meta = map[string]any{}
		body["metadata"] = meta
	}
	meta["resourceVersion"], meta["uid"] = t.version, t.wf.UID
	data, err := json.Marshal(body)
	if err != nil {
		return "", err
	}
	// Only the new version is wanted back, not the whole object.
	obj := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: t.wf.Name, Namespace: t.wf.Namespace}}
	obj.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("FlyteWorkflow"))
	patch := client.RawPatch(types.MergePatchType, data)
	switch to := to.(type) {
	case patcher[client.SubResourcePatchOption]:
		err = to.Patch(ctx, obj, patch)
	case patcher[client.PatchOption]:
		err = to.Patch(ctx, obj, patch)
	}
	return obj.ResourceVersion, err
}
