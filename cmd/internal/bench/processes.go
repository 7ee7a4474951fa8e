package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// tick is the unit of CPU time in /proc, which Linux fixes for programs.
const tickMS = 10

// processes are those of the federation, by the names that figures have. A
// process that does not run is left out.
func (r *rig) processes() map[string]int {
	all := map[string]int{"bench": os.Getpid(), "postgresql": r.Database.Process.PID()}
	for i, replica := range r.Replicas {
		name := "admin"
		if i > 0 {
			name = fmt.Sprintf("admin_%d", i)
		}
		all[name] = replica.PID()
	}
	for _, p := range r.Planes[:min(1, len(r.Planes))] {
		all["propeller"], all["node"] = p.Propeller.PID(), p.Node.PID()
		all["kube_apiserver"], all["etcd"] = p.Server.APIServer.PID(), p.Server.Etcd.PID()
	}
	maps.DeleteFunc(all, func(_ string, pid int) bool { return pid == 0 })
	return all
}

// family is a process and its children: PostgreSQL has one for each connection.
// What the bench has started is not of its family.
func family(pid int) []int {
	out := []int{pid}
	if pid == os.Getpid() {
		return out
	}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // a pattern that is right gives no error
	for _, path := range stats {
		if fields := stat(path); len(fields) > 1 && fields[1] == fmt.Sprint(pid) {
			var child int
			if _, err := fmt.Sscanf(path, "/proc/%d/stat", &child); err == nil {
				out = append(out, child)
			}
		}
	}
	return out
}

// stat is what follows the program's name in a stat file; nil if the process
// has ended.
func stat(path string) []string {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	text := string(raw)
	return strings.Fields(text[strings.LastIndex(text, ")")+1:])
}

// cpu is the CPU time of each process so far, in ms.
func (r *rig) cpu() map[string]float64 {
	out := map[string]float64{}
	for name, pid := range r.processes() {
		out[name] = familyCPU(pid)
	}
	return out
}

// familyCPU is the CPU time of a process and its children so far, in ms. What a
// child used that has ended counts no more.
func familyCPU(pid int) (ms float64) {
	for _, member := range family(pid) {
		if f := stat(fmt.Sprintf("/proc/%d/stat", member)); len(f) > 12 {
			var user, system float64
			_, _ = fmt.Sscan(f[11], &user) // a number, by proc(5)
			_, _ = fmt.Sscan(f[12], &system)
			ms += (user + system) * tickMS
		}
	}
	return ms
}

// usage collects what each process used for one thing, round by round.
type usage struct{ values map[string][]float64 }

func (u *usage) add(prefix string, after, before map[string]float64, things int) {
	if u.values == nil {
		u.values = map[string][]float64{}
	}
	for name := range after {
		u.values[prefix+name] = append(u.values[prefix+name], (after[name]-before[name])/float64(things))
	}
}

func (u *usage) figures() []figure {
	var out []figure
	for _, name := range slices.Sorted(maps.Keys(u.values)) {
		out = append(out, of(name, "ms", u.values[name]))
	}
	return out
}

func only(all map[string]float64, names ...string) map[string]float64 {
	maps.DeleteFunc(all, func(name string, _ float64) bool { return !slices.Contains(names, name) })
	return all
}
