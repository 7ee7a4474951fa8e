package flytekit

import (
	"fmt"
	"slices"
	"testing"
)

// page is one page of a list.
type page struct {
	Names    []string `json:"names"`
	Versions []string `json:"versions"`
	Token    string   `json:"token"`
}

func (s *suite) list(t *testing.T, kind string, args map[string]any) page {
	t.Helper()
	var p page
	all := map[string]any{"kind": kind}
	for k, v := range args {
		all[k] = v
	}
	s.driver.ask(t, "list", all, &p)
	return p
}

// queued are five executions that no cluster takes, two of them ended.
func (s *suite) queued(t *testing.T) {
	t.Helper()
	once(t, s, "queued", func() (none any, err error) {
		for i := range 5 {
			l := launch{Name: "inner", Execution: fmt.Sprintf("queued-%d", i), Label: "region=mars", Inputs: values{"a": i}}
			if err := s.driver.try("launch", l.full(), nil); err != nil {
				return nil, err
			}
		}
		for _, name := range []string{"queued-1", "queued-3"} {
			if err := s.driver.try("terminate", map[string]any{"execution": name, "cause": "test"}, nil); err != nil {
				return nil, err
			}
		}
		return nil, nil
	})
}

const allQueued = "value_in(name,queued-0;queued-1;queued-2;queued-3;queued-4)"

// pages walks a sorted list by its tokens, both ways.
func (s *suite) pages(t *testing.T) {
	s.queued(t)
	for _, ascending := range []bool{true, false} {
		wanted := []string{"queued-0", "queued-1", "queued-2", "queued-3", "queued-4"}
		if !ascending {
			slices.Reverse(wanted)
		}
		var got, tokens []string
		for token := ""; ; {
			p := s.list(t, "executions", map[string]any{"filters": []string{allQueued}, "key": "created_at", "ascending": ascending, "limit": 2, "token": token})
			got, tokens = append(got, p.Names...), append(tokens, p.Token)
			if token = p.Token; token == "" {
				break
			}
		}
		want(t, fmt.Sprintf("names, ascending %v", ascending), got, wanted)
		want(t, "tokens", fmt.Sprintf("%q", tokens), `["2" "4" ""]`)
	}
}

// filters are of each kind that flytekit knows.
func (s *suite) filters(t *testing.T) {
	s.queued(t)
	for _, c := range []struct {
		filters []string
		want    []string
	}{
		{[]string{"eq(name,queued-2)"}, []string{"queued-2"}},
		{[]string{allQueued, "ne(name,queued-2)", "eq(phase,QUEUED)"}, []string{"queued-0", "queued-4"}},
		{[]string{allQueued, "eq(phase,ABORTED)"}, []string{"queued-1", "queued-3"}},
		{[]string{allQueued, "value_not_in(name,queued-0;queued-1;queued-2)"}, []string{"queued-3", "queued-4"}},
		{[]string{"contains(name,ueued-)", "gt(name,queued-2)"}, []string{"queued-3", "queued-4"}},
		{[]string{allQueued, "gte(name,queued-3)"}, []string{"queued-3", "queued-4"}},
		{[]string{allQueued, "lt(name,queued-1)"}, []string{"queued-0"}},
		{[]string{allQueued, "lte(created_at,2001-01-01T00:00:00Z)"}, []string{}},
		{[]string{allQueued, "eq(launch_plan.name,textkit.workflows.inner)", "eq(name,queued-0)"}, []string{"queued-0"}},
		{[]string{allQueued, "eq(launch_plan.name,another)"}, []string{}},
	} {
		p := s.list(t, "executions", map[string]any{"filters": c.filters, "key": "created_at", "ascending": true})
		want(t, fmt.Sprint(c.filters), p.Names, c.want)
	}
}

// badLists are refused by name.
func (s *suite) badLists(t *testing.T) {
	for name, args := range map[string]map[string]any{
		"colour": {"filters": []string{"eq(colour,red)"}}, "shade": {"key": "shade"}, "token": {"token": "soon"}, "limit": {"limit": 0},
	} {
		args["kind"] = "executions"
		err := s.driver.try("list", args, nil)
		wantError(t, err, "FlyteInvalidInputException", name)
	}
}

// registry lists what is registered, and fetches the newest without a version.
func (s *suite) registry(t *testing.T) {
	var names []string
	for kind, some := range map[string][]string{
		"task": {"textkit.tasks.add", "textkit.runs.shouter"}, "workflow": {"textkit.workflows.typed", "textkit.models.structured"},
		"launch_plan": {"textkit.workflows.typed", "textkit.greet_twice"},
	} {
		s.driver.ask(t, "names", map[string]any{"kind": kind}, &names)
		for _, name := range some {
			if !slices.Contains(names, name) {
				t.Errorf("%s %s is not in the list %v", kind, name, names)
			}
		}
	}
	for _, kind := range []string{"tasks", "workflows", "launch_plans"} {
		name := map[string]string{"tasks": "textkit.tasks.kinds", "workflows": "textkit.workflows.typed", "launch_plans": "textkit.workflows.typed"}[kind]
		p := s.list(t, kind, map[string]any{"name": name, "filters": []string{"eq(version,one)"}, "key": "created_at"})
		want(t, "versions of "+name, p.Versions, []string{"one"})
	}
}

// interfaces are fetched with what they describe.
func (s *suite) interfaces(t *testing.T) {
	for _, kind := range []string{"task", "workflow", "launch_plan"} {
		name := map[string]string{"task": "textkit.runs.halve", "workflow": "textkit.runs.halves", "launch_plan": "textkit.runs.halves"}[kind]
		var found struct {
			Version         string
			Inputs, Outputs []string
		}
		s.driver.ask(t, "fetch", map[string]any{"kind": kind, "name": name, "version": "one"}, &found)
		want(t, kind, found, struct {
			Version         string
			Inputs, Outputs []string
		}{"one", []string{"text"}, []string{"first", "second"}})
	}
}

// recent executions come newest first.
func (s *suite) recent(t *testing.T) {
	s.queued(t)
	var names []string
	s.driver.ask(t, "recent", map[string]any{"limit": 100}, &names)
	var got []string
	for _, name := range names {
		if slices.Contains([]string{"queued-0", "queued-2", "queued-4"}, name) {
			got = append(got, name)
		}
	}
	want(t, "newest first", got, []string{"queued-4", "queued-2", "queued-0"})
}

// nodePages walks the nodes of an execution one by one.
func (s *suite) nodePages(t *testing.T) {
	e := s.halves(t)
	var pages [][]string
	s.driver.ask(t, "nodes", map[string]any{"execution": e.Name, "limit": 1}, &pages)
	want(t, "pages", len(pages) >= len(e.Nodes), true)
	all := slices.DeleteFunc(slices.Concat(pages...), func(id string) bool { return id == "start-node" || id == "end-node" })
	want(t, "nodes", slices.Sorted(slices.Values(all)), []string{"n0", "n1"})
}

// domains and projects are there.
func (s *suite) domains(t *testing.T) {
	var found map[string][]string
	s.driver.ask(t, "domains", nil, &found)
	want(t, "projects and domains", found, map[string][]string{"projects": {"flytesnacks"}, "domains": {"development", "staging", "production"}})
}
