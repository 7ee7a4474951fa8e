package container

import (
	"path/filepath"
	"sort"
	"strings"
)

// paths maps absolute paths of the image and its mounts to real ones. The
// longest prefix wins; a path under no prefix lies in the container's rootfs.
type paths struct {
	rootfs string
	table  []mapping
}

type mapping struct{ from, to string }

// add makes from, and all below it, stand for to.
func (p *paths) add(from, to string) {
	from = filepath.Clean(from)
	if from == "/" || from == "." {
		return
	}
	p.table = append(p.table, mapping{from: from, to: to})
	sort.SliceStable(p.table, func(i, j int) bool { return len(p.table[i].from) > len(p.table[j].from) })
}

// resolve gives the real path of one absolute path of the container.
func (p *paths) resolve(path string) string {
	path = filepath.Clean(path)
	for _, m := range p.table {
		if within(path, m.from) {
			return m.to + path[len(m.from):]
		}
	}
	return filepath.Join(p.rootfs, path)
}

// rewrite replaces each mapped path in an argument or a value, also within a
// longer text ("--out=/data", "cat /data/x | wc"): where a path begins, and only
// up to the end of a name, so that "/data" touches neither "/database" nor
// "s3://bucket/data".
func (p *paths) rewrite(text string) string {
	var out strings.Builder
	for i := 0; i < len(text); {
		m, ok := p.at(text, i)
		if !ok {
			out.WriteByte(text[i])
			i++
			continue
		}
		out.WriteString(m.to)
		i += len(m.from)
	}
	return out.String()
}

func (p *paths) at(text string, i int) (mapping, bool) {
	if text[i] != '/' || i > 0 && continuesPath(text[i-1]) {
		return mapping{}, false
	}
	for _, m := range p.table {
		rest, ok := strings.CutPrefix(text[i:], m.from)
		if ok && (rest == "" || rest[0] == '/' || !inName(rest[0])) {
			return m, true
		}
	}
	return mapping{}, false
}

// continuesPath tells whether a slash after c goes on a path that began before
// it, also one that a shell puts together ("$x/data", "${x}/data", "$(pwd)/data").
func continuesPath(c byte) bool { return inName(c) || strings.IndexByte("/~*?})", c) >= 0 }

func inName(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		strings.IndexByte("._-+@%", c) >= 0 || c >= 0x80
}

func within(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, strings.TrimSuffix(folder, "/")+"/")
}
