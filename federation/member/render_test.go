package member_test

import (
	"bytes"
	"compress/gzip"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"sigs.k8s.io/yaml"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/federation/member"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

func assignment() flow.Assignment {
	return flow.Assignment{
		Execution: flow.ExecutionID{Project: "proj", Domain: "dev", Name: "abc"}, Cluster: "east",
		Epoch: flow.Epoch{Era: 1, N: 2}, Incarnation: 3, Revision: 4, OwnershipRevision: 5, Desired: flow.DesiredRun,
		Run: &flow.Run{
			Workflow:   flow.EntityID{Project: "proj", Domain: "dev", Name: "my.pkg: wf", Version: "v1"},
			LaunchPlan: flow.EntityID{Project: "proj", Domain: "dev", Name: "lp", Version: "v1"},
			Inputs:     []byte("inputs"), Spec: []byte("spec"), DataPrefix: "s3://b/abc", RawPrefix: "s3://b/raw",
			CreatedAt: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC), Trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		},
	}
}

func TestRender(t *testing.T) {
	abort := assignment()
	abort.Desired, abort.Cause = flow.DesiredAbort, "enough"
	reference := assignment()
	reference.Run.ClosureURI, reference.Run.ClosureDigest = "s3://b/closure", []byte{1, 2}
	era := assignment()
	era.Epoch.Era = 2
	bare := assignment()
	bare.Desired, bare.Run = flow.DesiredAbort, nil
	moved := assignment()
	moved.Run.Failover = flow.Failover{Mode: flow.FailoverNever, Strict: true}
	moved.Run.Recovery.Nodes = []flow.RecoveredNode{
		{Node: "n0", Phase: flow.NodeSucceeded, OutputURI: "s3://b/abc/n0", NextAttempt: 1},
		{Node: "n1", Parent: "n0", NextAttempt: 3, Charged: 1, Checkpoint: "s3://b/check", StartedAt: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)},
		{Node: "n2", Phase: flow.NodeFailed, Error: failed(t)},
	}
	for name, a := range map[string]flow.Assignment{"moved": moved, "run": assignment(), "abort": abort, "reference": reference, "era2": era, "bare": bare} {
		t.Run(name, func(t *testing.T) {
			got, err := yaml.Marshal(member.Render(a))
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", "render_"+name+".yaml")
			if *rewrite {
				if err := os.WriteFile(path, got, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// TestWhatWasRenderedIsReadBack: a hub that asks for what is held gets what it
// was rendered from, as far as a FlyteWorkflow tells it. (I76.)
func TestWhatWasRenderedIsReadBack(t *testing.T) {
	whole := assignment()
	whole.Run.Closure, whole.Run.ClosureDigest, whole.Run.InputsURI = []byte("closure"), []byte{1, 2}, "s3://b/inputs"
	whole.Run.Failover = flow.Failover{Mode: flow.FailoverNever, Strict: true}
	whole.Run.Recovery.Nodes = []flow.RecoveredNode{
		{Node: "n1", Parent: "n0", NextAttempt: 3, Charged: 1, Checkpoint: "s3://b/check", StartedAt: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)},
		{Node: "n2", Phase: flow.NodeFailed, OutputURI: "s3://b/n2", Error: failed(t)},
	}
	reference := assignment()
	reference.Run.ClosureURI, reference.Run.ClosureDigest = "s3://b/closure", []byte{1, 2}
	abort := assignment()
	abort.Desired, abort.Cause = flow.DesiredAbort, "enough"
	for name, a := range map[string]flow.Assignment{"whole": whole, "reference": reference, "abort": abort} {
		t.Run(name, func(t *testing.T) {
			got, err := member.Assignment(member.Render(a))
			if err != nil {
				t.Fatal(err)
			}
			a.Cluster, a.OwnershipRevision = "", 0
			if d := cmp.Diff(a, got); d != "" {
				t.Errorf("(-rendered +read back)\n%s", d)
			}
		})
	}
}

func failed(t *testing.T) []byte {
	b, err := proto.Marshal(&core.ExecutionError{Code: "E", Message: "it broke", ErrorUri: "s3://b/err", Kind: core.ExecutionError_SYSTEM})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAClosureIsInlineIfItIsSmall(t *testing.T) {
	a := assignment()
	a.Run.Closure, a.Run.ClosureURI = bytes.Repeat([]byte("closure "), 1<<17), "s3://b/closure"
	fw := member.Render(a)
	r, err := gzip.NewReader(bytes.NewReader(fw.Spec.Closure))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, a.Run.Closure) || fw.Spec.ClosureURI != "" {
		t.Errorf("a megabyte that packs well is not inline: %v", err)
	}
	x := uint32(1)
	for i := range a.Run.Closure { // does not pack
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		a.Run.Closure[i] = byte(x)
	}
	if fw := member.Render(a); len(fw.Spec.Closure) != 0 || fw.Spec.ClosureURI == "" {
		t.Errorf("%d bytes inline, want it by reference", len(fw.Spec.Closure))
	}
}
