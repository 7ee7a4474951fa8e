package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/skein-project/skein/deploy/local/proc"
)

// memory prints the resident memory of the named processes, as it is now.
func (b *bench) memory(r *rig, prefix string, names ...string) error {
	for _, name := range names {
		var p *proc.Process
		switch name {
		case "admin":
			p = r.Replicas[0].Process
		case "propeller":
			p = r.Planes[0].Propeller
		case "node":
			p = r.Planes[0].Node
		case "kube_apiserver":
			p = r.Planes[0].Server.APIServer
		case "etcd":
			p = r.Planes[0].Server.Etcd
		}
		mb, err := resident(p.PID())
		if err != nil {
			return err
		}
		if err := print(b.out, of(prefix+"rss_mb_"+name, "MB", []float64{mb})); err != nil {
			return err
		}
	}
	return nil
}

// resident is a process's resident memory in MB.
func resident(pid int) (float64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(raw)) {
		var kb float64
		if n, _ := fmt.Sscanf(line, "VmRSS: %f kB", &kb); n == 1 {
			return kb / 1024, nil
		}
	}
	return 0, fmt.Errorf("process %d shows no resident memory", pid)
}
