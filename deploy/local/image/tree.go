package image

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// maxLinks bounds how many symbolic links one path may lead through, as the kernel does.
const maxLinks = 40

// tree is what a layer will hold: entries by their absolute path in the image.
type tree map[string]entry

type entry struct {
	info   fs.FileInfo // of a file or folder of this machine; nil: made here
	source string      // the file's path on this machine
	link   string      // of a symbolic link: where it points
	data   string      // of a file that is made here
	mode   fs.FileMode // of what is made here
}

func (t tree) folder(path string, mode fs.FileMode) { t[path] = entry{mode: fs.ModeDir | mode} }

func (t tree) text(path, data string) { t[path] = entry{data: data, mode: 0o644} }

// program puts a file of this machine elsewhere in the image.
func (t tree) program(path, source string) error {
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	t[path] = entry{info: info, source: source}
	return nil
}

// add puts a file or folder of this machine at its own path, with every symbolic link on the way, and returns where it
// really is. Of a folder it takes nothing that is in it.
func (t tree) add(path string) (string, error) {
	at, rest := "/", parts(path)
	for links := 0; len(rest) > 0; {
		if rest[0] == ".." {
			at, rest = filepath.Dir(at), rest[1:]
			continue
		}
		next := filepath.Join(at, rest[0])
		info, err := os.Lstat(next)
		if err != nil {
			return "", err
		}
		rest = rest[1:]
		if info.Mode()&fs.ModeSymlink == 0 {
			t.put(next, info)
			at = next
			continue
		}
		if links++; links > maxLinks {
			return "", fmt.Errorf("%s leads through more than %d symbolic links", path, maxLinks)
		}
		target, err := os.Readlink(next)
		if err != nil {
			return "", err
		}
		t[next] = entry{link: target}
		if filepath.IsAbs(target) {
			at = "/"
		}
		rest = append(parts(target), rest...)
	}
	return at, nil
}

func parts(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
}

// put takes files and folders, and nothing special such as sockets.
func (t tree) put(path string, info fs.FileInfo) {
	if info.IsDir() || info.Mode().IsRegular() {
		t[path] = entry{info: info, source: path}
	}
}

// addAll puts a folder with all that is in it, but for the names that skip knows. A link that leads nowhere stays one.
func (t tree) addAll(dir string, skip func(path string) bool) error {
	real, err := t.add(dir)
	if err != nil {
		return err
	}
	return filepath.WalkDir(real, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if skip(path) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.Type()&fs.ModeSymlink != 0 {
			if _, err := t.add(path); err != nil {
				return t.dangling(path)
			}
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		t.put(path, info)
		return nil
	})
}

func (t tree) dangling(path string) error {
	target, err := os.Readlink(path)
	t[path] = entry{link: target}
	return err
}
