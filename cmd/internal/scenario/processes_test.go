package scenario

import (
	"os"
	"os/exec"
	"slices"
	"testing"
)

// TestChildrenAreFound: who is stopped with a process, and only they.
func TestChildrenAreFound(t *testing.T) {
	child := exec.Command("/bin/sleep", "60")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = child.Process.Kill()
		_ = child.Wait() // it was killed
	}()
	if have := children(os.Getpid()); !slices.Contains(have, child.Process.Pid) {
		t.Errorf("children %v, want %d among them", have, child.Process.Pid)
	}
	if have := children(child.Process.Pid); len(have) > 0 {
		t.Errorf("a process without children has %v", have)
	}
}
