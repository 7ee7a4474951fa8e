package image

import (
	"bufio"
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// libraries finds shared libraries as the dynamic linker does.
type libraries struct {
	cache map[string]string // name to path, as ldconfig lists them
	have  map[string]bool   // names that some tree has already
}

// newLibraries reads the dynamic linker's cache.
func newLibraries(ctx context.Context) (*libraries, error) {
	ldconfig := "ldconfig"
	if _, err := exec.LookPath(ldconfig); err != nil {
		ldconfig = "/sbin/ldconfig" // which is on root's PATH only
	}
	out, err := exec.CommandContext(ctx, ldconfig, "-p").Output()
	if err != nil {
		return nil, fmt.Errorf("list this machine's shared libraries: %w", err)
	}
	l := &libraries{cache: map[string]string{}, have: map[string]bool{}}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		name, path, ok := strings.Cut(strings.TrimSpace(lines.Text()), " => ")
		name, _, _ = strings.Cut(name, " ")
		if _, there := l.cache[name]; ok && !there { // the first is the one that is taken
			l.cache[name] = path
		}
	}
	return l, nil
}

// close adds to system what the programs and libraries of all trees need, until nothing is missing. What this machine
// has not either is left out: the program would not start here.
func (l *libraries) close(system tree, others ...tree) error {
	var files []string
	for _, t := range append([]tree{system}, others...) {
		for path, e := range t {
			l.have[filepath.Base(path)] = true
			if e.info != nil && e.info.Mode().IsRegular() && (e.info.Mode()&0o111 != 0 || strings.Contains(filepath.Base(path), ".so")) {
				files = append(files, e.source)
			}
		}
	}
	for len(files) > 0 {
		file := files[len(files)-1]
		files = files[:len(files)-1]
		needed, err := l.needs(file)
		if err != nil {
			return fmt.Errorf("read what %s needs: %w", file, err)
		}
		for _, path := range needed {
			real, err := system.add(path)
			if err != nil {
				return err
			}
			files = append(files, real)
		}
	}
	return nil
}

// needs returns where the libraries are that a program needs and no tree has, and its dynamic linker.
func (l *libraries) needs(file string) ([]string, error) {
	opened, err := elf.Open(file)
	if format := (*elf.FormatError)(nil); errors.As(err, &format) {
		return nil, nil // a script, or anything else
	}
	if err != nil {
		if strings.Contains(err.Error(), "EOF") { // shorter than a header
			return nil, nil
		}
		return nil, err
	}
	defer func() { _ = opened.Close() }() // it was only read
	var found []string
	if linker := interpreter(opened); linker != "" && !l.have[linker] {
		l.have[linker] = true
		found = append(found, linker)
	}
	names, err := opened.ImportedLibraries()
	if err != nil {
		return nil, nil //nolint:nilerr // a static program has no such list
	}
	for _, name := range names {
		if l.have[name] {
			continue
		}
		if path := l.find(opened, file, name); path != "" {
			l.have[name] = true
			found = append(found, path)
		}
	}
	return found, nil
}

// interpreter is the dynamic linker that a program asks for.
func interpreter(file *elf.File) string {
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP {
			raw := make([]byte, p.Filesz)
			if _, err := p.ReadAt(raw, 0); err == nil {
				return string(bytes.TrimRight(raw, "\x00"))
			}
		}
	}
	return ""
}

func (l *libraries) find(opened *elf.File, file, name string) string {
	for _, tag := range []elf.DynTag{elf.DT_RPATH, elf.DT_RUNPATH} {
		values, _ := opened.DynString(tag)
		for _, dir := range strings.Split(strings.Join(values, ":"), ":") {
			path := filepath.Join(strings.NewReplacer("$ORIGIN", filepath.Dir(file), "${ORIGIN}", filepath.Dir(file)).Replace(dir), name)
			if _, err := os.Stat(path); dir != "" && err == nil {
				return path
			}
		}
	}
	return l.cache[name]
}
