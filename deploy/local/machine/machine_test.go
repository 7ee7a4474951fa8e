package machine

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/skein-project/skein/api/fault"
)

func TestTheClock(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for _, c := range []struct {
		name string
		now  time.Time
		want string
	}{
		{"right", now, ""},
		{"a battery is empty", time.Unix(0, 0), "it says 1970-01-01"},
		{"a little behind what wrote the file", now.Add(-time.Minute), ""},
		{"a day behind it", now.Add(-24 * time.Hour), file},
	} {
		err := Clock(c.now, file, filepath.Join(t.TempDir(), "not-there"))
		if (err == nil) != (c.want == "") || err != nil && (!fault.Is(err, fault.Precondition) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestSpaceIsAddedUpByDisk(t *testing.T) {
	one, two := filepath.Join(t.TempDir(), "not", "there"), t.TempDir()
	if err := Space(Room{one, 1, "a", "A"}, Room{two, 1, "b", "B"}); err != nil {
		t.Error(err)
	}
	half := uint64(1) << 62 // together more than any disk
	err := Space(Room{one, half, "modules", "GOMODCACHE"}, Room{two, half, "objects", "GOCACHE"})
	if !fault.Is(err, fault.Exhausted) {
		t.Fatalf("got %v, want an Exhausted error", err)
	}
	for _, want := range []string{"for modules in " + one, "for objects in " + two, "GOMODCACHE, GOCACHE", "9223372036.9 GB are needed"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
}

func TestWhatCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	if err := Writable(filepath.Join(dir, "new"), "move"); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(filepath.Join(dir, "new")); len(left) > 0 {
		t.Errorf("left %v", left)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := Writable(filepath.Join(file, "below"), "set SKEIN_CACHE")
	if !fault.Is(err, fault.Precondition) || !strings.Contains(err.Error(), "or set SKEIN_CACHE") {
		t.Errorf("below a file: %v", err)
	}
}

func TestThisMachineHasALoopback(t *testing.T) {
	if err := Loopback(t.Context()); err != nil {
		t.Error(err)
	}
}
