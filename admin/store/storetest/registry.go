package storetest

import (
	"crypto/sha256"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

var registryCases = []testCase{
	{"an entity is read as it was written", func(w *world) {
		sum := sha256.Sum256([]byte("body"))
		e := flow.Entity{Kind: flow.KindTask, ID: someTask, Digest: []byte("digest"), Body: []byte("body"), BodyDigest: sum[:],
			Interface: []byte("interface"), TaskType: "container", SystemGenerated: true, ShortDescription: "short",
			Description: []byte("long"), CreatedAt: began, UpdatedAt: began.Add(time.Second)}
		w.ok(w.CreateEntity(w.ctx, e))
		got, err := w.Other.GetEntity(w.ctx, flow.KindTask, someTask)
		w.equal(must(w, got, err), e)
	}},
	{"the digest of a body is filled in", func(w *world) {
		w.ok(w.CreateEntity(w.ctx, flow.Entity{Kind: flow.KindTask, ID: someTask, Body: []byte("body")}))
		got, err := w.GetEntity(w.ctx, flow.KindTask, someTask)
		sum := sha256.Sum256([]byte("body"))
		w.equal(must(w, got, err).BodyDigest, sum[:])
	}},
	{"a version is registered once", func(w *world) {
		w.ok(w.CreateEntity(w.ctx, flow.Entity{Kind: flow.KindTask, ID: someTask, Digest: []byte("a")}))
		w.fails(w.CreateEntity(w.ctx, flow.Entity{Kind: flow.KindTask, ID: someTask, Digest: []byte("a")}), fault.Conflict)
		w.ok(w.CreateEntity(w.ctx, flow.Entity{Kind: flow.KindWorkflow, ID: someTask}))
	}},
	{"what does not exist is not found", func(w *world) {
		_, err := w.GetEntity(w.ctx, flow.KindTask, someTask)
		w.fails(err, fault.NotFound)
		_, err = w.GetNamedEntity(w.ctx, flow.KindTask, "p", "d", "x")
		w.fails(err, fault.NotFound)
		w.fails(w.UpdateNamedEntity(w.ctx, flow.NamedEntity{Kind: flow.KindTask, Name: "x"}), fault.NotFound)
		w.fails(w.SetActive(w.ctx, someTask, true), fault.NotFound)
		_, err = w.GetProject(w.ctx, "x")
		w.fails(err, fault.NotFound)
		w.fails(w.UpdateProject(w.ctx, flow.Project{ID: "x"}), fault.NotFound)
		w.fails(w.ArchiveExecution(w.ctx, w.id("x"), true), fault.NotFound)
		_, err = w.GetExecution(w.ctx, w.id("x"))
		w.fails(err, fault.NotFound)
		_, err = w.AbortExecution(w.ctx, w.id("x"), "", "", began)
		w.fails(err, fault.NotFound)
		_, err = w.GetCluster(w.ctx, "x")
		w.fails(err, fault.NotFound)
		_, err = w.GetNode(w.ctx, flow.NodeID{Execution: w.id("x"), Node: "n"})
		w.fails(err, fault.NotFound)
		_, err = w.GetTask(w.ctx, flow.NodeID{Execution: w.id("x"), Node: "n"}, someTask, 0)
		w.fails(err, fault.NotFound)
	}},
	{"at most one version of a launch plan is active", activeCase},
	{"versions share what belongs to their name", func(w *world) {
		for _, version := range []string{"v1", "v2"} {
			id := someTask
			id.Version = version
			w.ok(w.CreateEntity(w.ctx, flow.Entity{Kind: flow.KindTask, ID: id}))
		}
		want := flow.NamedEntity{Kind: flow.KindTask, Project: "p", Domain: "d", Name: "task", Description: "what it is", State: 1}
		w.ok(w.UpdateNamedEntity(w.ctx, want))
		got, err := w.GetNamedEntity(w.ctx, flow.KindTask, "p", "d", "task")
		w.equal(must(w, got, err), want)
		list, err := w.ListEntityIDs(w.ctx, flow.KindTask, "p", "d", flow.Query{Limit: 10})
		w.equal(must(w, list, err), []flow.NamedEntity{want})
	}},
	{"a project is kept as it is given", func(w *world) {
		p := flow.Project{ID: "q", Name: "P", Description: "d", Labels: map[string]string{"a": "b"}, CreatedAt: began}
		w.ok(w.CreateProject(w.ctx, p))
		w.fails(w.CreateProject(w.ctx, p), fault.Conflict)
		p.Name, p.State = "Q", 1
		w.ok(w.UpdateProject(w.ctx, p))
		got, err := w.GetProject(w.ctx, "q")
		w.equal(must(w, got, err), p)
		w.ok(w.CreateProject(w.ctx, flow.Project{ID: "a", CreatedAt: began.Add(time.Hour)}))
		list, err := w.ListProjects(w.ctx, flow.Query{})
		w.equal(must(w, list, err)[0].ID, "a")
		list, err = w.ListProjects(w.ctx, flow.Query{Filters: []flow.Filter{{Field: "state", Op: flow.OpEqual, Values: []string{"0"}}}})
		w.equal(len(must(w, list, err)), 2) // a, and the world's own
	}},
}

func plan(version string) flow.EntityID {
	return flow.EntityID{Project: "p", Domain: "d", Name: "lp", Version: version}
}

func (w *world) active() []string {
	w.Helper()
	list, err := w.ListEntities(w.ctx, flow.KindLaunchPlan, "p", "d", "lp",
		flow.Query{Limit: 10, Filters: []flow.Filter{{Field: "active", Op: flow.OpEqual, Values: []string{"true"}}}})
	var versions []string
	for _, e := range must(w, list, err) {
		if !e.Active {
			w.Errorf("%s is listed as active and is not", e.ID)
		}
		versions = append(versions, e.ID.Version)
	}
	return versions
}

func activeCase(w *world) {
	for _, v := range []string{"v1", "v2"} {
		w.ok(w.CreateEntity(w.ctx, flow.Entity{Kind: flow.KindLaunchPlan, ID: plan(v), ScheduleType: "NONE"}))
	}
	w.equal(w.active(), []string(nil))
	w.ok(w.SetActive(w.ctx, plan("v1"), true))
	w.equal(w.active(), []string{"v1"})
	w.ok(w.SetActive(w.ctx, plan("v2"), true))
	w.ok(w.SetActive(w.ctx, plan("v2"), true))
	w.equal(w.active(), []string{"v2"})
	w.fails(w.SetActive(w.ctx, plan("v3"), true), fault.NotFound)
	w.equal(w.active(), []string{"v2"})
	w.ok(w.SetActive(w.ctx, plan("v2"), false))
	w.equal(w.active(), []string(nil))
}
