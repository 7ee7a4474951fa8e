package image

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// layer packs a tree into the folder, unless it is there already.
func (t tree) layer(dir, name string) (Layer, error) {
	place := filepath.Join(dir, name+"-"+t.key())
	l := Layer{Path: place + ".tar"}
	if raw, err := os.ReadFile(place + ".json"); err == nil {
		if info, err := os.Stat(l.Path); err == nil && json.Unmarshal(raw, &l) == nil && info.Size() == l.Size {
			return l, nil
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return l, err
	}
	temporary, err := os.CreateTemp(dir, "."+name+"-")
	if err != nil {
		return l, err
	}
	defer os.Remove(temporary.Name())
	sum := sha256.New()
	if err := errors.Join(t.write(io.MultiWriter(temporary, sum)), temporary.Close()); err != nil {
		return l, fmt.Errorf("pack layer %s: %w", name, err)
	}
	info, err := os.Stat(temporary.Name())
	if err != nil {
		return l, err
	}
	l.Digest, l.Size = "sha256:"+hex.EncodeToString(sum.Sum(nil)), info.Size()
	raw, err := json.Marshal(l)
	if err != nil {
		return l, err
	}
	// The description comes last, and speaks of the size: one without its archive, or of another, counts for nothing.
	if err := os.Rename(temporary.Name(), l.Path); err != nil {
		return l, err
	}
	return l, os.WriteFile(place+".json", raw, 0o644)
}

// key names a tree by what its archive is made from.
func (t tree) key() string {
	sum := sha256.New()
	for _, path := range slices.Sorted(maps.Keys(t)) {
		e := t[path]
		if e.info != nil && !e.info.IsDir() {
			fmt.Fprintf(sum, "%s\x00%v\x00%d\x00%d\n", path, e.info.Mode(), e.info.Size(), e.info.ModTime().UnixNano())
			continue
		}
		fmt.Fprintf(sum, "%s\x00%v\x00%s\x00%s\n", path, e.mode, e.link, e.data)
	}
	return hex.EncodeToString(sum.Sum(nil))[:16]
}

func (t tree) write(w io.Writer) error {
	archive := tar.NewWriter(w)
	for _, path := range slices.Sorted(maps.Keys(t)) {
		if err := t[path].write(archive, strings.TrimPrefix(path, "/")); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return archive.Close()
}

func (e entry) write(archive *tar.Writer, name string) error {
	h := &tar.Header{Name: name, Mode: int64(e.mode.Perm()), ModTime: time.Unix(0, 0), Format: tar.FormatPAX}
	switch {
	case e.link != "":
		h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, e.link, 0o777
		return archive.WriteHeader(h)
	case e.info != nil && e.info.IsDir():
		h.Typeflag, h.Name, h.Mode = tar.TypeDir, name+"/", 0o755
		return archive.WriteHeader(h)
	case e.mode.IsDir():
		h.Typeflag, h.Name = tar.TypeDir, name+"/"
		if e.mode&fs.ModeSticky != 0 {
			h.Mode |= 0o1000
		}
		return archive.WriteHeader(h)
	case e.info == nil:
		h.Size = int64(len(e.data))
		if err := archive.WriteHeader(h); err != nil {
			return err
		}
		_, err := io.WriteString(archive, e.data)
		return err
	}
	h.Size, h.Mode, h.ModTime = e.info.Size(), int64(e.info.Mode().Perm()), e.info.ModTime()
	file, err := os.Open(e.source)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := archive.WriteHeader(h); err != nil {
		return err
	}
	_, err = io.Copy(archive, file)
	return err
}
