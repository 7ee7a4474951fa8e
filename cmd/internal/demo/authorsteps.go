package demo

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/api/flyteidl/service"
	"github.com/skein-project/skein/deploy/local/example"
)

func (a *author) register(ctx context.Context) error {
	fmt.Fprintf(a.out, "$ cd %s\n$ export FLYTECTL_CONFIG=%s\n", a.project, a.flyte)
	return a.shell(ctx, "pyflyte", "register", "--project", a.config.Project, "--domain", a.config.Domain, "--version", a.run, example.Package)
}

func (a *author) runIt(ctx context.Context) error {
	return a.shell(ctx, "pyflyte", "run", "--remote", "--wait", "--poll-interval", "1", "--project", a.config.Project, "--domain", a.config.Domain,
		"--name", a.run, "--execution-cluster-label", onLabel, example.File, example.Workflow, "--flowers", flowers)
}

func (a *author) outputs(ctx context.Context) error {
	printed, err := a.skein(ctx, "get", a.run)
	if want := "o0 = {lily: 1, rose: 2, tulip: 1}"; err == nil && !strings.Contains(printed, want) {
		return fmt.Errorf("the outputs lack %q", want)
	}
	return err
}

// file shows what the task has written. In a folder it can be read as it is;
// elsewhere its URI is what an author gets.
func (a *author) file(ctx context.Context) error {
	data, err := ask(a, func(api service.AdminServiceClient) (*admin.WorkflowExecutionGetDataResponse, error) {
		return api.GetExecutionData(ctx, &admin.WorkflowExecutionGetDataRequest{Id: a.id()})
	})
	if err != nil {
		return err
	}
	uri := data.GetFullOutputs().GetLiterals()["o1"].GetScalar().GetBlob().GetUri()
	return a.stored("the card", uri, "2 x rose")
}

func (a *author) deck(ctx context.Context) error {
	node, err := ask(a, func(api service.AdminServiceClient) (*admin.NodeExecution, error) {
		return api.GetNodeExecution(ctx, &admin.NodeExecutionGetRequest{Id: &core.NodeExecutionIdentifier{NodeId: "n2", ExecutionId: a.id()}})
	})
	if err != nil {
		return err
	}
	return a.stored("the deck", node.GetClosure().GetDeckUri(), "<li>2 x rose</li>")
}

// stored checks an object and says where it is.
func (a *author) stored(what, uri, want string) error {
	if uri == "" {
		return fmt.Errorf("%s has no URI", what)
	}
	if !filepath.IsAbs(uri) {
		fmt.Fprintf(a.out, "%s is at %s\n", what, uri)
		return nil
	}
	raw, err := os.ReadFile(uri)
	if err != nil {
		return err
	}
	if !strings.Contains(string(raw), want) {
		return fmt.Errorf("%s at %s lacks %q", what, uri, want)
	}
	if len(raw) > 200 {
		_, err = fmt.Fprintf(a.out, "%s, %d bytes, is at %s: open it in a browser\n", what, len(raw), uri)
		return err
	}
	_, err = fmt.Fprintf(a.out, "$ cat %s\n%s", uri, raw)
	return err
}

// retry looks at both attempts: the one that failed, and the one that did not.
func (a *author) retry(ctx context.Context) error {
	list, err := ask(a, func(api service.AdminServiceClient) (*admin.TaskExecutionList, error) {
		return api.ListTaskExecutions(ctx, &admin.TaskExecutionListRequest{Limit: 10,
			SortBy:          &admin.Sort{Key: "retry_attempt", Direction: admin.Sort_ASCENDING},
			NodeExecutionId: &core.NodeExecutionIdentifier{NodeId: "n1", ExecutionId: a.id()}})
	})
	if err != nil {
		return err
	}
	phases := map[uint32]core.TaskExecution_Phase{}
	for _, t := range list.GetTaskExecutions() {
		phases[t.GetId().GetRetryAttempt()] = t.GetClosure().GetPhase()
		fmt.Fprintf(a.out, "attempt %d of water: %s\n", t.GetId().GetRetryAttempt(), t.GetClosure().GetPhase())
	}
	if len(phases) != 2 || phases[0] != core.TaskExecution_FAILED || phases[1] != core.TaskExecution_SUCCEEDED {
		return fmt.Errorf("want attempt 0 FAILED and attempt 1 SUCCEEDED")
	}
	printed, err := a.skein(ctx, "logs", a.run, "--node", "n1", "--attempt", "0", "--tail", "20")
	if err == nil && !strings.Contains(printed, "the tap is dry") {
		return fmt.Errorf("the log of the failed attempt does not say why it failed")
	}
	return err
}

func (a *author) placement(ctx context.Context) error {
	why, err := a.explain(ctx, a.run)
	if err == nil && why.GetCluster() != onNode {
		return fmt.Errorf("it ran on %q, want %s: the cluster with %s", why.GetCluster(), onNode, onLabel)
	}
	return err
}

func (a *author) id() *core.WorkflowExecutionIdentifier {
	return &core.WorkflowExecutionIdentifier{Project: a.config.Project, Domain: a.config.Domain, Name: a.run}
}

// ask makes one call of Flyte's API.
func ask[T any](a *author, call func(service.AdminServiceClient) (T, error)) (none T, err error) {
	conn, err := a.config.DialFlyte()
	if err != nil {
		return none, err
	}
	defer conn.Close()
	return call(service.NewAdminServiceClient(conn))
}
