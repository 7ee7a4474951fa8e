package pod

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/skein-project/skein/plugins"
)

// customize renders the arguments of all containers, gives them the platform's
// environment, and settles what they ask for.
func customize(task plugins.Task, t *target, c Config) error {
	platform := environment(task, c)
	var failed error
	eachContainer(&t.spec, func(one *corev1.Container) {
		if failed != nil {
			return
		}
		if one.Command, failed = render(one.Command, task); failed != nil {
			return
		}
		if one.Args, failed = render(one.Args, task); failed != nil {
			return
		}
		one.Env = append(slices.Clone(one.Env), platform...)
		if one.TerminationMessagePolicy == "" {
			one.TerminationMessagePolicy = corev1.TerminationMessageFallbackToLogsOnError
		}
		if one.Name != t.primary {
			one.Resources = within(one.Resources, c)
		}
	})
	if failed != nil {
		return failed
	}
	main := t.container(t.primary)
	var err error
	main.Resources, err = primaryResources(main.Resources, task.Overrides.GetResources(), c)
	return err
}

// environment is what the platform adds, in the order of contract 18.2: of two
// of a name the last wins, so that a task's own come before it.
func environment(task plugins.Task, c Config) []corev1.EnvVar {
	var env []corev1.EnvVar
	add := func(name, value string) { env = append(env, corev1.EnvVar{Name: name, Value: value}) }
	e, id := task.Execution, task.Template.GetId()
	add("FLYTE_INTERNAL_EXECUTION_WORKFLOW", e.Project+":"+e.Domain+":"+first(task.LaunchPlan.Name, task.Workflow.Name))
	add("FLYTE_INTERNAL_EXECUTION_ID", e.Name)
	add("FLYTE_INTERNAL_EXECUTION_PROJECT", e.Project)
	add("FLYTE_INTERNAL_EXECUTION_DOMAIN", e.Domain)
	add("FLYTE_ATTEMPT_NUMBER", strconv.Itoa(int(task.Attempt)))
	if c.ConsoleURL != "" {
		add("FLYTE_EXECUTION_URL", fmt.Sprintf("%s/projects/%s/domains/%s/executions/%s", strings.TrimRight(c.ConsoleURL, "/"), e.Project, e.Domain, e.Name))
	}
	add("FLYTE_INTERNAL_TASK_PROJECT", id.GetProject())
	add("FLYTE_INTERNAL_TASK_DOMAIN", id.GetDomain())
	add("FLYTE_INTERNAL_TASK_NAME", id.GetName())
	add("FLYTE_INTERNAL_TASK_VERSION", id.GetVersion())
	for _, v := range task.Env {
		add(v.Name, v.Value)
	}
	for _, name := range slices.Sorted(maps.Keys(c.DefaultEnv)) {
		add(name, c.DefaultEnv[name])
	}
	if task.Trace != "" {
		add("TRACEPARENT", task.Trace)
	}
	return env
}
