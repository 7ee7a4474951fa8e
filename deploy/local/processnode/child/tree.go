package child

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Record names a process so that another one which later gets the same number
// is not taken for it.
type Record struct {
	Pid int `json:"pid"`
	// Start is the kernel's start time of the process, in clock ticks since boot.
	Start uint64 `json:"start"`
}

// Alive tells whether the process of this record still exists.
func (r Record) Alive() bool {
	return r.Pid > 1 && r.Start != 0 && startTicks(r.Pid) == r.Start
}

// KillLeftovers kills, with their descendants, the recorded processes that are
// alive and every process that has one of the folders in its environment or
// works inside it. It returns how many processes it killed.
func KillLeftovers(records []Record, folders ...string) int {
	killed := 0
	for _, r := range records {
		if r.Alive() {
			killed += killTree(r, nil)
		}
	}
	return killed + killTree(Record{}, folders)
}

// killTree kills the process of the record and all that belong to it, again
// until none is left, for some seconds at most: between two looks at /proc a
// process can fork.
func killTree(root Record, folders []string) int {
	killed := map[int]bool{}
	for wait := time.Millisecond; wait < 2*time.Second; wait = wait * 3 / 2 {
		alive := 0
		for _, pid := range members(root, folders) {
			if unix.Kill(pid, unix.SIGKILL) == nil {
				killed[pid] = true
				alive++
			}
		}
		if alive == 0 {
			break
		}
		time.Sleep(wait) // a large process takes a while to die
	}
	return len(killed)
}

// process is one line of the process table.
type process struct {
	pid, parent, group, session int
	zombie                      bool
	start                       uint64
}

// members lists the live processes that belong to root or to a folder.
func members(root Record, folders []string) []int {
	table := processes()
	self := os.Getpid()
	in := map[int]bool{}
	for _, p := range table {
		if p.start >= root.Start && p.pid != self && belongs(p, root, folders) {
			in[p.pid] = true
		}
	}
	spread(table, in, self)
	var pids []int
	for _, p := range table {
		if in[p.pid] && !p.zombie {
			pids = append(pids, p.pid)
		}
	}
	return pids
}

// spread adds the descendants of the members, to any depth.
func spread(table []process, in map[int]bool, self int) {
	for grown := true; grown; {
		grown = false
		for _, p := range table {
			if in[p.parent] && !in[p.pid] && p.pid != self {
				in[p.pid], grown = true, true
			}
		}
	}
}

func belongs(p process, root Record, folders []string) bool {
	if root.Pid > 1 && (p.pid == root.Pid || p.group == root.Pid || p.session == root.Pid) {
		return true
	}
	if len(folders) == 0 || p.zombie {
		return false
	}
	base := filepath.Join("/proc", strconv.Itoa(p.pid))
	if cwd, err := os.Readlink(base + "/cwd"); err == nil && within(cwd, folders) {
		return true
	}
	environ, err := os.ReadFile(base + "/environ")
	return err == nil && marked(environ, folders)
}

// marked tells whether HOME or TMPDIR of this environment lies in a folder.
// Other variables do not count: a stranger may well name a folder in one.
func marked(environ []byte, folders []string) bool {
	for entry := range bytes.SplitSeq(environ, []byte{0}) {
		for _, name := range []string{"HOME=", "TMPDIR="} {
			if value, ok := strings.CutPrefix(string(entry), name); ok && within(value, folders) {
				return true
			}
		}
	}
	return false
}

func within(path string, folders []string) bool {
	return slices.ContainsFunc(folders, func(folder string) bool {
		return path == folder || strings.HasPrefix(path, folder+"/")
	})
}

// processes reads the process table; processes that end meanwhile are left out.
func processes() []process {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	table := make([]process, 0, len(names))
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			if p, ok := stat(pid); ok {
				table = append(table, p)
			}
		}
	}
	return table
}

// stat reads /proc/<pid>/stat. The second field, the program's name, may hold
// spaces and brackets, so the fields are counted from the last bracket on.
func stat(pid int) (process, bool) {
	raw, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return process{}, false
	}
	text := string(raw)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 20 {
		return process{}, false
	}
	number := func(i int) int { n, _ := strconv.Atoi(fields[i]); return n }
	start, _ := strconv.ParseUint(fields[19], 10, 64)
	return process{
		pid: pid, zombie: fields[0] == "Z" || fields[0] == "X",
		parent: number(1), group: number(2), session: number(3), start: start,
	}, true
}

func startTicks(pid int) uint64 {
	p, _ := stat(pid)
	return p.start
}
