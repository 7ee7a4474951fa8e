package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-project/skein/api/fault"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
)

func TestBadOperatorsCommands(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.yaml")
	if err := os.WriteFile(empty, []byte("# nothing\n---\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	sketch := filepath.Join(t.TempDir(), "sketch.yaml")
	if err := os.WriteFile(sketch, []byte("name: c\ncpus: 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"a label that says neither", []string{"cluster", "label", "c", "tier"}, `KEY- to remove it, got "tier"`},
		{"a label of no cluster", []string{"cluster", "label", "c"}, "KEY=VALUE"},
		{"a taint without effect", []string{"cluster", "taint", "c", "gpu"}, `KEY[=VALUE]:EFFECT`},
		{"a drain that stops and waits", []string{"cluster", "drain", "c", "--stop", "--wait"}, "stop"},
		{"a drain of two", []string{"cluster", "drain", "c", "d"}, "NAME"},
		{"a member and more", []string{"cluster", "revoke", "c", "i", "j"}, "INSTANCE"},
		{"no documents", []string{"policy", "apply"}, "--file"},
		{"documents of a file that is not there", []string{"policy", "apply", "-f", "no-such.yaml"}, "no-such.yaml"},
		{"a file without a document", []string{"policy", "diff", "-f", empty}, "holds no document"},
		{"a version of what is in effect", []string{"policy", "get", "system", "--version", "3", "--effective"}, "effective"},
		{"a cluster to add with an unknown field", []string{"whatif", "--add", sketch}, `"cpus"`},
		{"a cluster to add that is not there", []string{"whatif", "--add", "no-such.yaml"}, "--add"},
		{"a replica without address", []string{"admin", "replicas", "add", "x"}, "ID and ADDRESS"},
		{"an image without a manifest", []string{"cluster", "register", "c", "--image", "i"}, "--manifest"},
		{"a manifest without an image", []string{"cluster", "register", "c", "--manifest", "--hub", "h:1"}, "--image"},
		{"a manifest without a hub", []string{"cluster", "register", "c", "--manifest", "--image", "i"}, "--hub"},
		{"a manifest with an odd hub", []string{"cluster", "register", "c", "--manifest", "--image", "i", "--hub", "nowhere"}, "hubs"},
		{"two subjects", []string{"audit", "a", "b"}, "SUBJECT"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := run(t, c.args...)
			if err := fromWire(err); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an Invalid error that says %s", err, c.want)
			}
		})
	}
}

// TestDocumentsKeepTheirLines: a file's documents are told apart, and a message
// about the second names the lines of the file.
func TestDocumentsKeepTheirLines(t *testing.T) {
	list := documents("f", "# first\nscope: system\n---\n---\nscope: domain/d\nrules: {}\n")
	if len(list) != 2 || !strings.HasPrefix(list[1].text, "\n\n\n\nscope: domain/d\n") || strings.Contains(list[0].text, "domain") {
		t.Errorf("got %q", list)
	}
}

func TestAChangeThatLostIsStale(t *testing.T) {
	if err := fromWire(status.Error(codes.Aborted, "version 2 is the newest")); !fault.Is(err, fault.Stale) {
		t.Errorf("got %v", err)
	}
}

func TestOperatorsTablesAreReadable(t *testing.T) {
	at := timestamppb.New(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	one := &skeinv1.ExecutionRef{Project: "p", Domain: "d", Name: "x"}
	var out bytes.Buffer
	show := func(title string, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		out.WriteString("== " + title + "\n")
	}
	plan := &skeinv1.DrainResponse{Status: &skeinv1.DrainStatus{Remaining: 3, Pinned: 1, Unplaceable: 1},
		Plan: []*skeinv1.DrainStep{{Execution: one, To: "us-1", How: "resume"}, {Execution: one, How: "capacity: full"}}}
	show("drain --dry-run", drain{dryRun: true}.tell(&out, "eu-1", plan))
	show("drain --stop", drain{stop: true}.tell(&out, "eu-1", plan))
	out.WriteString(drainLine(&skeinv1.DrainStatus{Remaining: 9, Moving: 3, Eta: durationpb.New(90 * time.Second)}) + "\n")
	show("declare-lost", lossTable(&out, "eu-1", "would be", &skeinv1.DeclareLostResponse{Movable: 4, Pinned: 1, Risks: []string{"A member may hold a lease."}}))
	show("whatif", forecast(&out, &skeinv1.WhatIfResponse{Moved: 1, Waiting: 1, Stranded: 1, Outcomes: []*skeinv1.Outcome{{Execution: one, From: "eu-1", How: "never"},
		{Execution: one, From: "eu-1", To: "us-1", How: "resume"}}, Clusters: []*skeinv1.ClusterLoad{{Cluster: "us-1", ExecutionsBefore: 1, ExecutionsAfter: 2,
		ReservedAfter: &skeinv1.Resources{MilliCpu: 1000}, Capacity: &skeinv1.Resources{MilliCpu: 8000}}}}))
	show("replicas", planeTable(&out, &skeinv1.GetControlPlaneResponse{Id: "plane", Version: "0.4.0", Epoch: &skeinv1.Epoch{Era: 1, N: 7}, Doubt: "4 of 6 clusters lapsed.",
		Replicas: []*skeinv1.Replica{{Id: "admin-0", Address: "a:1", Voter: true, Leader: true}, {Id: "admin-1", Address: "b:1"}}}))
	show("audit", auditTable(&out, []*skeinv1.AuditLine{{At: at, Actor: "operator ada", Action: "cluster.drain", Subject: "cluster/eu-1", Detail: "budget 10\nmore"}}))
	show("policies", policyChanges(&out, []*skeinv1.ApplyPolicyResponse{{Policy: &skeinv1.Policy{Scope: "system", Version: 2}},
		{Policy: &skeinv1.Policy{Scope: "domain/d", Version: 1}, Difference: "--- nothing\n+++ domain/d\n@@ -0,0 +1 @@\n+scope: domain/d\n"}}, false))
	show("explain", explain(&out, &skeinv1.ExplainResponse{Summary: "It waits.", Requirement: &skeinv1.Requirement{Pool: "gpu", Accelerators: []string{"a100"}},
		Failover: &skeinv1.FailoverPolicy{Mode: "restart", Strict: true, MaxMoves: 5, Moves: 1},
		Moves:    []*skeinv1.Move{{From: "eu-1", Epoch: &skeinv1.Epoch{Era: 1, N: 1}, Kind: "Lapse", Reason: "its leases ended", At: at}},
		Remedies: []string{"Wait for room on us-1."}}))
	golden(t, "operator.txt", out.String())
}

func TestTheManifestOfAMember(t *testing.T) {
	file := filepath.Join(t.TempDir(), "eu.yaml")
	if err := os.WriteFile(file, []byte("objectStore: {root: /store}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	m := memberManifest{wanted: true, image: "registry.example/skein:0.4", hubs: []string{"skein.example:8443"}, config: file}
	base, err := m.check("eu-1")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := m.write(&out, base, &skeinv1.RegisterClusterResponse{Cluster: &skeinv1.Cluster{Name: "eu-1"}, JoinToken: "skein-join-x", Ca: "PEM"}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"registry.example/skein:0.4", "skein.example:8443", "skein-join-x", "cluster: eu-1", "kind: FlyteWorkflow"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the manifest misses %q", want)
		}
	}
}
