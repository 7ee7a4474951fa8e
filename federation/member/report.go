package member

import (
	"context"
	"fmt"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/mutant"
	"github.com/skein-project/skein/federation/session"
)

// mark notes on tombstones that the control plane has all of them.
func (r *reporter) mark(ctx context.Context) {
	r.mu.Lock()
	marks := r.marks
	r.marks = nil
	r.mu.Unlock()
	for _, c := range marks {
		if r.overtaken(c) {
			continue
		}
		name := Name(c.place.id, c.place.epoch)
		fw := &metav1.PartialObjectMetadata{} // nothing of the answer is read, least of all the whole object
		fw.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("FlyteWorkflow"))
		fw.Namespace, fw.Name = name.Namespace, name.Name
		if mutant.On("tombstone-dropped-early") {
			r.drop(ctx, name)
			continue
		}
		patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.AnnotationAcked, strconv.FormatUint(c.sequence, 10))
		if err := r.m.o.Client.Patch(ctx, fw, client.RawPatch(types.MergePatchType, []byte(patch))); client.IgnoreNotFound(err) != nil {
			r.m.log.Warn("a tombstone was not marked", "execution", c.place.id.String(), "error", err)
			continue
		}
		if !r.forget(c) {
			continue
		}
		r.m.step(session.Finished{Execution: c.place.id, Epoch: c.place.epoch, Revision: c.revision})
		r.m.drained(c.place.id) // it may have been marked before, and no change comes
	}
}

// drop is the mistake of a member that keeps no tombstone: what says that a
// placement has ended is gone as soon as the control plane knows.
func (r *reporter) drop(ctx context.Context, name types.NamespacedName) {
	var fw v1alpha1.FlyteWorkflow
	if r.m.o.Reader.Get(ctx, name, &fw) != nil {
		return
	}
	fw.Finalizers = nil
	_ = r.m.o.Client.Update(ctx, &fw)
	_ = r.m.o.Client.Delete(ctx, &fw)
}

// overtaken reports whether all of a tombstone is to be told again.
func (r *reporter) overtaken(c parcel) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.accounts[c.place]
	return a != nil && a.wants > c.revision
}

// forget drops the account of a tombstone, unless all of it is to be told again.
func (r *reporter) forget(c parcel) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a := r.accounts[c.place]; a != nil && a.wants > c.revision {
		return false
	}
	delete(r.accounts, c.place)
	return true
}

// watch makes changes of FlyteWorkflows known to the reporter.
func (m *Member) watch(ctx context.Context) error {
	if m.o.Cache == nil {
		return nil
	}
	informer, err := m.o.Cache.GetInformer(ctx, &v1alpha1.FlyteWorkflow{})
	if err != nil {
		return err
	}
	_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { m.changed(o) },
		UpdateFunc: func(was, o any) { m.replaced(was, o); m.changed(o) },
		DeleteFunc: func(o any) { m.deleted(o) },
	})
	return err
}

// deleted makes sure that an execution whose FlyteWorkflow was deleted under us
// does not stay running for ever: a new inventory tells that it is gone.
func (m *Member) deleted(o any) {
	if late, ok := o.(toolscache.DeletedFinalStateUnknown); ok {
		o = late.Obj
	}
	fw, ok := o.(*v1alpha1.FlyteWorkflow)
	if !ok || ended(fw) && fw.Annotations[v1alpha1.AnnotationAcked] != "" {
		return // a tombstone that has done its duty
	}
	m.step(session.Vanished{Execution: executionOf(fw), Epoch: epochOf(fw)})
}

// replaced looks for a deletion that a watch which began anew tells as a change.
func (m *Member) replaced(was, is any) {
	before, ok := was.(*v1alpha1.FlyteWorkflow)
	after, both := is.(*v1alpha1.FlyteWorkflow)
	if ok && both && before.UID != after.UID {
		m.deleted(before)
	}
}

func (m *Member) changed(o any) {
	fw, ok := o.(*v1alpha1.FlyteWorkflow)
	if !ok {
		return
	}
	m.reporter.touch(executionOf(fw), epochOf(fw))
	if ended(fw) {
		m.drained(executionOf(fw))
	}
}

// sweeps looks at every FlyteWorkflow now and then: what a watch lost is found,
// and what is not owned is stopped.
func (m *Member) sweeps(ctx context.Context) {
	every(ctx, m.o.Sweep, func() {
		m.mu.Lock()
		live := m.state.Stage() == session.Live
		m.mu.Unlock()
		if !live {
			return
		}
		var list v1alpha1.FlyteWorkflowList
		if err := m.o.Client.List(ctx, &list); err != nil {
			m.log.Warn("FlyteWorkflows were not listed", "error", err)
			return
		}
		for i := range list.Items {
			m.changed(&list.Items[i])
		}
	})
}
