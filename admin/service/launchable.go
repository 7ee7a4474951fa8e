package service

import (
	"container/list"
	"sync"
	"time"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/admin"
)

// What a replica keeps of the launch plans that it launches.
const (
	// MaxLaunchables bounds how many, and MaxLaunchableBytes their serialised
	// size together; in memory they take about four times that.
	MaxLaunchables     = 4096
	MaxLaunchableBytes = 8 << 20
	// LaunchableAge is how long one is believed, so that a database that was
	// restored from a backup is noticed.
	LaunchableAge = time.Minute
)

// launchable is what a launch needs of a launch plan's version and of its
// workflow. Both are immutable once registered (I12), and whether a version is
// active does not matter to who launches it by name and version; so a replica
// may keep it without asking again. Whether the project takes launches is not
// kept: CreateExecution's own statement checks that.
type launchable struct {
	plan   *admin.LaunchPlan // shared by all launches: never changed
	demand demand            // of the workflow; likewise
	size   int               // serialised, in bytes
	read   time.Time
}

// launchables keeps those that were launched last.
type launchables struct {
	mu    sync.Mutex
	byID  map[flow.EntityID]*list.Element // of keptLaunchable
	order *list.List                      // newest first
	bytes int
}

type keptLaunchable struct {
	id flow.EntityID
	launchable
}

func newLaunchables() *launchables {
	return &launchables{byID: map[flow.EntityID]*list.Element{}, order: list.New()}
}

func (c *launchables) get(id flow.EntityID, now time.Time) (launchable, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.byID[id]
	if !ok {
		return launchable{}, false
	}
	kept := e.Value.(keptLaunchable) //nolint:forcetypeassert // nothing else is put in
	if now.Sub(kept.read) > LaunchableAge {
		c.drop(e)
		return launchable{}, false
	}
	c.order.MoveToFront(e)
	return kept.launchable, true
}

// put keeps one, and drops those that were not used for longest.
func (c *launchables) put(id flow.EntityID, l launchable) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.byID[id]; ok {
		c.drop(e)
	}
	c.byID[id] = c.order.PushFront(keptLaunchable{id, l})
	c.bytes += l.size
	for c.bytes > MaxLaunchableBytes || len(c.byID) > MaxLaunchables {
		c.drop(c.order.Back())
	}
}

func (c *launchables) drop(e *list.Element) {
	kept := c.order.Remove(e).(keptLaunchable) //nolint:forcetypeassert // see get
	delete(c.byID, kept.id)
	c.bytes -= kept.size
}
