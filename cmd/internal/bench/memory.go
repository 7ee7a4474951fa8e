package main

import (
	"fmt"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"strings"
)

// memory prints the resident memory of every process, as it is now.
func (b *bench) memory(r *rig, prefix string) error {
	all := r.processes()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		mb, err := resident(all[name], name == "postgresql")
		if err != nil {
			return err
		}
		if err := print(b.out, of(prefix+"rss_mb_"+name, "MB", []float64{mb})); err != nil {
			return err
		}
	}
	return nil
}

// resident is a process's resident memory in MB. Of a family of processes it is
// the sum, in which what they share counts once.
func resident(pid int, shared bool) (float64, error) {
	if !shared {
		return kilobytes(fmt.Sprintf("/proc/%d/status", pid), "VmRSS:")
	}
	var sum float64
	for _, member := range family(pid) {
		mb, err := kilobytes(fmt.Sprintf("/proc/%d/smaps_rollup", member), "Pss:")
		if os.IsNotExist(err) {
			continue // it has ended
		}
		if err != nil {
			return 0, err
		}
		sum += mb
	}
	return sum, nil
}

// forgetPeak begins a new peak of this process's resident memory (VmHWM), without
// what an earlier part left to the collector.
func forgetPeak() error {
	debug.FreeOSMemory()
	return os.WriteFile("/proc/self/clear_refs", []byte("5"), 0)
}

// kilobytes reads one line of a file below /proc, in MB.
func kilobytes(path, key string) (float64, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(raw)) {
		var kb float64
		if n, _ := fmt.Sscanf(line, key+" %f kB", &kb); n == 1 {
			return kb / 1024, nil
		}
	}
	return 0, fmt.Errorf("%s has no line %s", path, key)
}
