package scenario

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/chaos/script"
	"github.com/skein-project/skein/cmd/internal/local"
)

// planes is script.Planes: what an administrator of the clusters sees.
type planes struct{ *World }

// lateActs is the propellers' counter of them.
const lateActs = "skein_propeller_late_acts_total"

func (p planes) find(cluster string) (*local.Plane, error) {
	for _, c := range p.federation.Planes {
		if c.Name == cluster {
			return c, nil
		}
	}
	return nil, fault.E(fault.Invalid, "there is no cluster %q", cluster)
}

// Alive asks the cluster's API server.
func (p planes) Alive(ctx context.Context, cluster, prefix string) (out []script.Object, err error) {
	plane, err := p.find(cluster)
	if err != nil {
		return nil, err
	}
	api, err := reader(plane)
	if err != nil {
		return nil, err
	}
	var workflows v1alpha1.FlyteWorkflowList
	if err := api.List(ctx, &workflows); err != nil {
		return nil, err
	}
	for _, w := range workflows.Items {
		if !ended(w.Status.Phase) {
			out = keep(out, "FlyteWorkflow", prefix, w.ObjectMeta)
		}
	}
	var pods corev1.PodList
	if err := api.List(ctx, &pods); err != nil {
		return nil, err
	}
	for _, o := range pods.Items {
		if o.Status.Phase != corev1.PodSucceeded && o.Status.Phase != corev1.PodFailed && o.DeletionTimestamp == nil {
			out = keep(out, "Pod", prefix, o.ObjectMeta)
		}
	}
	return out, nil
}

func reader(plane *local.Plane) (client.Reader, error) {
	config, err := plane.Admin()
	if err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	if err := corev1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	return client.New(config, client.Options{Scheme: scheme})
}

// ended says it of what a FlyteWorkflow calls its phase.
func ended(phase string) bool {
	switch phase {
	case "SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT":
		return true
	}
	return false
}

// keep appends an object that works for such an execution.
func keep(list []script.Object, kind, prefix string, of metav1.ObjectMeta) []script.Object {
	execution := of.Labels[v1alpha1.LabelExecution]
	if !strings.HasPrefix(execution, prefix) {
		return list
	}
	number := func(label string) uint64 {
		n, _ := strconv.ParseUint(of.Labels[label], 10, 64) // 0 is the epoch of nothing, and so stale
		return n
	}
	return append(list, script.Object{Kind: kind, Name: of.Name, Execution: execution,
		Epoch: flow.Epoch{Era: number(v1alpha1.LabelEra), N: number(v1alpha1.LabelEpoch)}})
}

// Late reads the propellers' metrics; one that does not run counts nothing.
func (p planes) Late(ctx context.Context) (map[string]int, error) {
	out := map[string]int{}
	for _, c := range p.federation.Planes {
		if !c.Propeller.Alive() {
			continue
		}
		n, err := counter(ctx, "http://"+c.Ops+"/metrics", lateActs)
		if err != nil {
			return nil, fmt.Errorf("late acts of %s: %w", c.Name, err)
		}
		out[c.Name] = int(n)
	}
	return out, nil
}

// counter sums a metric over all its labels; one that nobody raised is 0.
func counter(ctx context.Context, url, name string) (sum float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		rest, ok := strings.CutPrefix(lines.Text(), name)
		if at := strings.LastIndexByte(rest, ' '); ok && at >= 0 && (rest[0] == ' ' || rest[0] == '{') {
			n, err := strconv.ParseFloat(rest[at+1:], 64)
			if err != nil {
				return 0, fmt.Errorf("%s: %w", lines.Text(), err)
			}
			sum += n
		}
	}
	return sum, nil
}
