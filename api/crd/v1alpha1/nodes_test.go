package v1alpha1

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
)

// TestALargeRecoveryFits: what 5,000 nodes left fits an object of etcd, and is
// read as it was written.
func TestALargeRecoveryFits(t *testing.T) {
	for _, many := range []int{0, 3, 5000} {
		var nodes []RecoveredNode
		for i := range many {
			nodes = append(nodes, RecoveredNode{Node: fmt.Sprintf("n%d", i), Phase: 3, NextAttempt: 1,
				OutputURI:  fmt.Sprintf("s3://bucket/metadata/flytesnacks/development/a0123456789abcdefghi/n%d/data/0/outputs.pb", i),
				Checkpoint: fmt.Sprintf("s3://bucket/raw/%02d/a0123456789abcdefghi-n%d-0/_flytecheckpoints", i%97, i)})
		}
		r, err := NewRecovery(nodes)
		if err != nil {
			t.Fatal(err)
		}
		whole, err := json.Marshal(r)
		if err != nil || len(whole) > MaxPlainNodes || (r == nil) != (many == 0) {
			t.Errorf("of %d nodes it takes %d bytes, %v", many, len(whole), err)
		}
		if got, err := RecoveredNodes(r); err != nil || !reflect.DeepEqual(got, nodes) {
			t.Errorf("%d nodes are read as %d, %v", many, len(got), err)
		}
	}
	if _, err := RecoveredNodes(&Recovery{CompressedNodes: []byte("junk")}); err == nil {
		t.Error("junk is read")
	}
}
