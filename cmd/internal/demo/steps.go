package demo

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/api/flyteidl/service"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/cmd/internal/cli"
	"github.com/skein-project/skein/cmd/internal/client"
	"github.com/skein-project/skein/cmd/internal/demo/spans"
	"github.com/skein-project/skein/cmd/internal/local"
	"github.com/skein-project/skein/cmd/internal/version"
	"github.com/skein-project/skein/deploy/local/image"
	"github.com/skein-project/skein/deploy/local/namespace"
)

//go:embed workflow.yaml
var workflow []byte

// words is how many words the workflow's default text has.
const words = 12

type demo struct {
	out    io.Writer
	state  string
	path   string // of the command line's configuration
	config client.Config

	fed   *local.Federation // nil if another process runs it
	spans *spans.Receiver
}

// step is one thing that is shown and checked.
type step struct {
	name, title string
	run         func(ctx context.Context) error
}

// play runs steps in order; the first that fails ends the demo.
func (d *demo) play(ctx context.Context, steps []step) error {
	var err error
	if d.config, err = client.Read(d.path, true); err != nil {
		return err
	}
	for _, step := range steps {
		fmt.Fprintf(d.out, "\n--- %s\n", step.title)
		if err := step.run(ctx); err != nil {
			return fmt.Errorf("demo step %s: %w", step.name, err)
		}
		fmt.Fprintf(d.out, "DEMO OK %s\n", step.name)
	}
	return nil
}

// withoutTasks are the steps that need nothing to run on the nodes.
func (d *demo) withoutTasks() []step {
	return []step{
		{"clusters", "three clusters have joined", d.clusters},
		{"register", "a workflow of six nodes with a fan-out is registered from YAML", d.register},
	}
}

// withTasks are the steps that do.
func (d *demo) withTasks() []step {
	suffix := fmt.Sprintf("%x", time.Now().Unix())
	labelled, free := "label-"+suffix, "free-"+suffix
	of := func(run func(context.Context, string) error, name string) func(context.Context) error {
		return func(ctx context.Context) error { return run(ctx, name) }
	}
	return []step{
		{"placement-by-label", "a launch that names a region runs there", of(d.launchLabelled, labelled)},
		{"placement-free", "a launch that names none runs where most is free", of(d.launchFree, free)},
		{"outputs", "data went from task to task and came back", of(d.outputs, free)},
		{"logs", "logs come from the cluster that ran the task", of(d.logs, free)},
		{"trace", "one trace leads from the API call to the containers", of(d.trace, labelled)},
		{"leader-kill", "the leading replica is killed while a workflow runs", of(d.leaderKill, "kill-"+suffix)},
	}
}

// skein runs one command of the CLI as a person would, and returns what it
// printed.
func (d *demo) skein(ctx context.Context, args ...string) (string, error) {
	fmt.Fprintf(d.out, "$ skein %s\n", strings.Join(args, " "))
	var printed bytes.Buffer
	root := cli.New(version.String())
	root.SetArgs(append([]string{"--config", d.path}, args...))
	root.SetOut(io.MultiWriter(d.out, &printed))
	err := root.ExecuteContext(ctx)
	return printed.String(), err
}

func (d *demo) clusters(ctx context.Context) error {
	printed, err := d.skein(ctx, "cluster", "list")
	if n := strings.Count(printed, "Healthy"); err == nil && n < len(d.fed.Planes) {
		return fmt.Errorf("%d of %d clusters are healthy", n, len(d.fed.Planes))
	}
	return err
}

func (d *demo) register(ctx context.Context) error {
	path := filepath.Join(d.state, "workflow.yaml")
	text := workflow
	if namespace.Inside() { // real nodes have the one image that was packed for them
		text = bytes.ReplaceAll(workflow, []byte("image: debian:12"), []byte("image: "+image.TaskName))
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return err
	}
	_, err := d.skein(ctx, "register", "-f", path)
	return err
}

func (d *demo) launchLabelled(ctx context.Context, name string) error {
	if _, err := d.skein(ctx, "launch", "demo.wordcount", "--name", name, "--cluster-label", "region=us-east", "--wait"); err != nil {
		return err
	}
	why, err := d.explain(ctx, name)
	if err == nil && why.GetCluster() != "us-1" {
		return fmt.Errorf("it ran on %q, want us-1: the cluster with region=us-east", why.GetCluster())
	}
	return err
}

func (d *demo) launchFree(ctx context.Context, name string) error {
	if _, err := d.skein(ctx, "launch", "demo.wordcount", "--name", name, "--wait"); err != nil {
		return err
	}
	why, err := d.explain(ctx, name)
	if err != nil {
		return err
	}
	for _, decision := range why.GetDecisions() {
		if len(decision.GetReasons()) < len(d.fed.Planes) {
			return fmt.Errorf("a decision has %d reasons, want one for each of %d clusters", len(decision.GetReasons()), len(d.fed.Planes))
		}
	}
	return nil
}

func (d *demo) explain(ctx context.Context, name string) (*skeinv1.ExplainResponse, error) {
	if _, err := d.skein(ctx, "explain", name); err != nil {
		return nil, err
	}
	conn, err := d.config.DialSkein()
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return skeinv1.NewPlacementServiceClient(conn).Explain(ctx, &skeinv1.ExplainRequest{
		Execution: &skeinv1.ExecutionRef{Project: d.config.Project, Domain: d.config.Domain, Name: name}})
}

func (d *demo) outputs(ctx context.Context, name string) error {
	if _, err := d.skein(ctx, "get", name); err != nil {
		return err
	}
	return d.checkTotal(ctx, name)
}

func (d *demo) checkTotal(ctx context.Context, name string) error {
	conn, err := d.config.DialFlyte()
	if err != nil {
		return err
	}
	defer conn.Close()
	data, err := service.NewAdminServiceClient(conn).GetExecutionData(ctx, &admin.WorkflowExecutionGetDataRequest{
		Id: &core.WorkflowExecutionIdentifier{Project: d.config.Project, Domain: d.config.Domain, Name: name}})
	if err != nil {
		return err
	}
	outputs := data.GetFullOutputs().GetLiterals()
	if got := outputs["total"].GetScalar().GetPrimitive().GetInteger(); got != words {
		return fmt.Errorf("total is %d, want %d", got, words)
	}
	if got := outputs["sentence"].GetScalar().GetPrimitive().GetStringValue(); !strings.Contains(got, fmt.Sprint(words)) {
		return fmt.Errorf("sentence is %q, want %d in it", got, words)
	}
	return nil
}

func (d *demo) logs(ctx context.Context, name string) error {
	printed, err := d.skein(ctx, "logs", name, "--node", "sum")
	if want := fmt.Sprintf("together %d words", words); err == nil && !strings.Contains(printed, want) {
		return fmt.Errorf("the log of node sum lacks %q", want)
	}
	return err
}

// nodeRuns reports whether a node of the execution has started.
func (d *demo) nodeRuns(ctx context.Context, name, node string) (bool, error) {
	conn, err := d.config.DialFlyte()
	if err != nil {
		return false, err
	}
	defer conn.Close()
	n, err := service.NewAdminServiceClient(conn).GetNodeExecution(ctx, &admin.NodeExecutionGetRequest{
		Id: &core.NodeExecutionIdentifier{NodeId: node, ExecutionId: &core.WorkflowExecutionIdentifier{
			Project: d.config.Project, Domain: d.config.Domain, Name: name}}})
	return n.GetClosure().GetPhase() == core.NodeExecution_RUNNING, err
}
