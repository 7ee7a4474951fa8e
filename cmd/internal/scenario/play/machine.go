package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"github.com/skein-project/skein/cmd/internal/scenario/report"
	"github.com/skein-project/skein/deploy/local/tools"
)

// machine is what there is to know of this one before anything has started.
func machine(ctx context.Context) report.Machine {
	return report.Machine{Cores: runtime.NumCPU(), Load: load(), Memory: memory(), System: runtime.GOOS + "/" + runtime.GOARCH + ", " + runtime.Version(),
		Kubernetes: tools.Version + ": etcd, kube-apiserver, propeller and simulated node for each cluster", Program: program(ctx)}
}

// load is how many processes ran or wanted to, on the average of the last minute.
func load() string {
	raw, _ := os.ReadFile("/proc/loadavg")
	if first, _, ok := strings.Cut(string(raw), " "); ok {
		return first
	}
	return "not known how many"
}

// memory is all that the machine has.
func memory() string {
	raw, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return "not known"
	}
	var kib float64
	if _, err := fmt.Sscanf(string(raw), "MemTotal: %f kB", &kib); err != nil {
		return "not known"
	}
	return fmt.Sprintf("%.1f GiB", kib/(1<<20))
}

// program is the commit that runs, if git knows it.
func program(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty").Output()
	if err != nil {
		return "not known"
	}
	return "commit " + strings.TrimSpace(string(out))
}
