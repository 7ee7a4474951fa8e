package smalldisk_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/skein-project/skein/deploy/local/smalldisk"
)

func TestMain(m *testing.M) { smalldisk.Main(m, func(m *testing.M) { os.Exit(m.Run()) }) }

func TestADiskFillsUpAndIsSeenByNobodyElse(t *testing.T) {
	dir := t.TempDir()
	d := smalldisk.New(t, dir, 1<<20)
	file := filepath.Join(dir, "file")
	for range 2 {
		d.Fill()
		if err := os.WriteFile(file, []byte("x"), 0o600); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("write to a full disk: %v", err)
		}
		d.Empty()
		if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	mounts, err := os.ReadFile("/proc/1/mounts") // of the machine
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), dir) {
		t.Errorf("the machine sees the disk at %s", dir)
	}
}
