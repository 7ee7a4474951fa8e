package storetest

import (
	"fmt"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

var listCases = []testCase{
	{"executions come newest first, without their inputs", func(w *world) {
		for _, name := range []string{"a", "b", "c"} {
			w.create(name)
		}
		list, err := w.ListExecutions(w.ctx, "p", "d", flow.Query{Limit: 10})
		w.equal(executionNames(must(w, list, err)), []string{"c", "b", "a"})
		want := w.example("c")
		want.Inputs, want.UserInputs, want.CreatedAt, want.UpdatedAt = nil, nil, list[0].CreatedAt, list[0].UpdatedAt
		w.equal(list[0], want)
		list, err = w.ListExecutions(w.ctx, "p", "other", flow.Query{Limit: 10})
		w.equal(len(must(w, list, err)), 0)
	}},
	{"pages never overlap, even if all are equal", pagingCase},
	{"filters say what they say", filterCase},
	{"a field that is not public is refused by name", func(w *world) {
		for _, q := range []flow.Query{
			{Limit: 1, Filters: []flow.Filter{{Field: "nonce", Op: flow.OpEqual, Values: []string{"x"}}}},
			{Limit: 1, Filters: []flow.Filter{{Field: "name; DROP TABLE executions", Op: flow.OpEqual, Values: []string{"x"}}}},
			{Limit: 1, Filters: []flow.Filter{{Field: "phase", Op: flow.OpEqual, Values: []string{"BUSY"}}}},
			{Limit: 1, Filters: []flow.Filter{{Field: "created_at", Op: flow.OpGreater, Values: []string{"yesterday"}}}},
			{Limit: 1, Filters: []flow.Filter{{Field: "phase", Op: flow.OpContains, Values: []string{"RUN"}}}},
			{Limit: 1, Filters: []flow.Filter{{Field: "cluster", Op: "like", Values: []string{"x"}}}},
			{Limit: 1, Filters: []flow.Filter{{Field: "cluster", Op: flow.OpEqual}}},
			{Limit: 1, SortBy: "nonce"}, {Limit: 0}, {Limit: 1, Offset: -1},
		} {
			_, err := w.ListExecutions(w.ctx, "p", "d", q)
			w.fails(err, fault.Invalid)
		}
	}},
	{"versions of an entity can be listed", func(w *world) {
		for i, version := range []string{"v1", "v2", "v3"} {
			id := someTask
			id.Version = version
			w.ok(w.CreateEntity(w.ctx, flow.Entity{Kind: flow.KindTask, ID: id, TaskType: "container",
				CreatedAt: began.Add(time.Duration(i) * time.Second)}))
		}
		list, err := w.ListEntities(w.ctx, flow.KindTask, "p", "d", "task", flow.Query{Limit: 2})
		w.equal(must(w, list, err)[0].ID.Version, "v3")
		w.equal(len(list), 2)
		list, err = w.ListEntities(w.ctx, flow.KindTask, "p", "d", "", flow.Query{Limit: 9, SortBy: "version", Ascend: true,
			Filters: []flow.Filter{{Field: "task.type", Op: flow.OpEqual, Values: []string{"container"}}}})
		w.equal(must(w, list, err)[0].ID.Version, "v1")
		_, err = w.ListEntities(w.ctx, flow.KindWorkflow, "p", "d", "", flow.Query{Limit: 9, SortBy: "type"})
		w.fails(err, fault.Invalid)
	}},
}

func executionNames(list []flow.Execution) []string {
	var names []string
	for _, e := range list {
		names = append(names, e.ID.Name)
	}
	return names
}

func pagingCase(w *world) {
	for i := range 10 {
		e := w.example(fmt.Sprintf("e%d", i))
		e.CreatedAt, e.UpdatedAt = began, began
		w.ok(w.CreateExecution(w.ctx, e))
	}
	for _, q := range []flow.Query{{}, {Ascend: true}, {SortBy: "phase"}, {SortBy: "cluster", Ascend: true}} {
		seen := map[string]bool{}
		q.Limit = 3
		for q.Offset = 0; q.Offset < 10; q.Offset += 3 {
			list, err := w.ListExecutions(w.ctx, "p", "d", q)
			for _, name := range executionNames(must(w, list, err)) {
				seen[name] = true
			}
		}
		w.equal(len(seen), 10)
	}
}

func filterCase(w *world) {
	sender := w.member("east")
	for _, name := range []string{"a", "b", "c"} {
		w.create(name)
	}
	b := w.run("bb", sender)
	w.record(sender, happened(b, flow.EventWorkflow, "", int32(flow.ExecutionSucceeded), 1))
	w.ok(w.ArchiveExecution(w.ctx, w.id("a"), true))
	for _, c := range []struct {
		field  string
		op     flow.Op
		values []string
		want   []string
	}{
		{"phase", flow.OpEqual, []string{"SUCCEEDED"}, []string{"bb"}},
		{"execution.phase", flow.OpNotEqual, []string{"SUCCEEDED"}, []string{"c", "b", "a"}},
		{"phase", flow.OpIn, []string{"SUCCEEDED", "QUEUED"}, []string{"bb", "c", "b", "a"}},
		{"phase", flow.OpNotIn, []string{"SUCCEEDED", "RUNNING"}, []string{"c", "b", "a"}},
		{"execution_name", flow.OpContains, []string{"b"}, []string{"bb", "b"}},
		{"name", flow.OpNotLike, []string{"b%"}, []string{"c", "a"}},
		{"state", flow.OpEqual, []string{"1"}, []string{"a"}},
		{"cluster", flow.OpEqual, []string{"east"}, []string{"bb"}},
		{"duration", flow.OpGreater, []string{"1s"}, []string{"bb"}},
		{"duration", flow.OpGreater, []string{"3600.5"}, nil},
		{"created_at", flow.OpAtMost, []string{began.Add(2 * time.Second).Format(time.RFC3339Nano)}, []string{"b", "a"}},
		{"created_at", flow.OpLess, []string{began.Add(2 * time.Second).Format(time.RFC3339Nano)}, []string{"a"}},
		{"created_at", flow.OpAtLeast, []string{began.Add(3 * time.Second).Format(time.RFC3339Nano)}, []string{"bb", "c"}},
		{"launch_plan.name", flow.OpEqual, []string{"lp"}, []string{"bb", "c", "b", "a"}},
		{"task.name", flow.OpEqual, []string{"lp"}, nil},
		{"user", flow.OpEqual, []string{"ann'; --"}, nil},
		{"mode", flow.OpEqual, []string{"1"}, []string{"bb", "c", "b", "a"}},
		{"launch_entity", flow.OpEqual, []string{"TASK"}, nil},
	} {
		list, err := w.ListExecutions(w.ctx, "p", "d", flow.Query{Limit: 10,
			Filters: []flow.Filter{{Field: c.field, Op: c.op, Values: c.values}}})
		w.Logf("%s %s %v", c.field, c.op, c.values)
		w.equal(executionNames(must(w, list, err)), c.want)
	}
}
