package service

import (
	"fmt"
	"testing"
	"time"

	"github.com/skein-project/skein/api/flow"
)

func TestLaunchablesAreBounded(t *testing.T) {
	now := time.Now()
	id := func(i int) flow.EntityID { return flow.EntityID{Name: fmt.Sprint(i)} }
	for _, c := range []struct {
		name       string
		size, kept int
	}{
		{"by number", 1, MaxLaunchables}, {"by size", MaxLaunchableBytes / 3, 3}, {"one too large", MaxLaunchableBytes + 1, 0},
	} {
		l := newLaunchables()
		for i := range MaxLaunchables + 10 {
			l.put(id(i), launchable{size: c.size, read: now})
			l.get(id(0), now) // in use, so that it stays
		}
		if len(l.byID) != c.kept || l.order.Len() != c.kept || l.bytes != c.kept*c.size {
			t.Errorf("%s: kept %d (%d in order) of %d bytes, want %d", c.name, len(l.byID), l.order.Len(), l.bytes, c.kept)
		}
		if _, known := l.get(id(0), now); known != (c.kept > 0) {
			t.Errorf("%s: what is in use was kept: %t", c.name, known)
		}
		if _, known := l.get(id(MaxLaunchables+9), now.Add(LaunchableAge+1)); known {
			t.Errorf("%s: an old one is believed", c.name)
		}
	}
}
