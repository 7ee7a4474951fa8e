package proc

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Leftovers lists the running processes whose environment or command line names the state folder, one line each: the
// process number and the command line. The caller itself and its ancestors (a shell that exports SKEIN_STATE) are left
// out; processes of other users, whose environment we may not read, are judged by their command line. It needs /proc.
func Leftovers(state string) ([]string, error) {
	state, err := filepath.Abs(state)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	own := ancestry(os.Getpid())
	var found []string
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || own[pid] {
			continue
		}
		// A process that ends meanwhile reads as empty, like a zombie: neither is left over.
		command, _ := os.ReadFile(filepath.Join("/proc", entry.Name(), "cmdline"))
		env, _ := os.ReadFile(filepath.Join("/proc", entry.Name(), "environ"))
		if names(command, state) || names(env, state) {
			line := strings.TrimSpace(strings.ReplaceAll(string(command), "\x00", " "))
			found = append(found, fmt.Sprintf("%d %s", pid, line))
		}
	}
	return found, nil
}

// ancestry returns the process and all its parents.
func ancestry(pid int) map[int]bool {
	own := map[int]bool{}
	for pid > 0 && !own[pid] {
		own[pid] = true
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			break
		}
		// The second field is the name in parentheses and may hold anything; the parent is the second one after it.
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if len(fields) < 2 {
			break
		}
		pid, _ = strconv.Atoi(fields[1])
	}
	return own
}

// names reports whether text holds the path as a whole: /var/tmp/a is not named by /var/tmp/ab.
func names(text []byte, path string) bool {
	for at := 0; ; {
		i := bytes.Index(text[at:], []byte(path))
		if i < 0 {
			return false
		}
		start, end := at+i, at+i+len(path)
		if (start == 0 || !inName(text[start-1])) && (end == len(text) || !inName(text[end])) {
			return true
		}
		at = end
	}
}

func inName(c byte) bool {
	return c == '.' || c == '-' || c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
