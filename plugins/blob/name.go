package blob

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/skein-project/skein/api/fault"
)

// identity is the file in a folder's root that holds the folder's own name. Its
// suffix keeps it from being an object, and from being listed.
const identity = ".skein-store.attrs"

// Name is the same for all who reach the same objects by the same URIs, wherever
// they run, and another for everybody else. A bucket is known by its server; a
// folder by its path and a name that is drawn once and kept in its root: hosts
// and paths do not tell one from another, and several may share one. Copying a
// folder with this file makes two that are taken for one.
func (s *Store) Name() (string, error) {
	switch p := s.place.(type) {
	case *bucket:
		return s.root + "@" + p.server, nil
	case *folder:
		id, err := p.identity()
		if err != nil {
			return "", fault.Wrap(fault.Unavailable, err, "name object store %s", s.root)
		}
		return "file://" + id + s.root, nil
	}
	return "", fault.E(fault.Unsupported, "object store %s has no name", s.root)
}

// identity reads the folder's name, and draws it if there is none. It appears
// whole, and once: a link, unlike a rename, replaces nothing.
func (f *folder) identity() (string, error) {
	id, err := f.readIdentity()
	if !errors.Is(err, fs.ErrNotExist) {
		return id, err
	}
	fresh := identity + "-" + rand.Text() + tempSuffix
	file, err := f.dir.OpenFile(fresh, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.dir.Remove(fresh) }() // it is hidden, and of no use to anybody
	_, err = file.WriteString(strings.ToLower(rand.Text()) + "\n")
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return "", err
	}
	if err := f.dir.Link(fresh, identity); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	return f.readIdentity()
}

func (f *folder) readIdentity() (string, error) {
	raw, err := f.dir.ReadFile(identity)
	if err != nil {
		return "", err
	}
	id := strings.TrimSpace(string(raw))
	if id == "" || strings.ContainsAny(id, "/@ ") {
		return "", fmt.Errorf("%s holds no name: remove it while nothing runs", identity)
	}
	return id, nil
}
