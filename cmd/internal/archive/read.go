package archive

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/skein-project/skein/api/fault"
)

// Open reads an archive, compressed or not, or a folder of the same files. What
// cannot be read, or is too large, is fault.Invalid.
func Open(name string) (*Archive, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "cannot be read")
	}
	if info.IsDir() {
		return openFolder(name)
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "cannot be read")
	}
	defer file.Close()
	return Read(file)
}

// Read reads a tar archive, which may be compressed by gzip.
func Read(in io.Reader) (*Archive, error) { return read(in, maxUnpacked) }

func read(in io.Reader, most int64) (*Archive, error) {
	in, err := unzip(in)
	if err != nil {
		return nil, err
	}
	var r reader
	bounded := &io.LimitedReader{R: in, N: most}
	files := tar.NewReader(bounded)
	for n := 0; ; n++ {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return r.done()
		}
		if bounded.N == 0 {
			return nil, fault.E(fault.Invalid, "unpacks to more than %d bytes", most)
		}
		if err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "is no tar archive as pyflyte package writes it, or not a whole one")
		}
		if n == maxFiles {
			return nil, fault.E(fault.Invalid, "%s is one too many: want at most %d files", header.Name, maxFiles)
		}
		if header.Typeflag != tar.TypeReg || limit(header.Name) == 0 {
			continue
		}
		if err := r.read(header.Name, files); err != nil {
			return nil, err
		}
	}
}

// unzip looks whether what comes is compressed.
func unzip(in io.Reader) (io.Reader, error) {
	buffered := bufio.NewReader(in)
	magic, err := buffered.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fault.Wrap(fault.Invalid, err, "cannot be read")
	}
	if string(magic) != "\x1f\x8b" {
		return buffered, nil
	}
	unzipped, err := gzip.NewReader(buffered)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "is compressed, but not by gzip as a whole")
	}
	return unzipped, nil
}

func openFolder(name string) (*Archive, error) {
	list, err := os.ReadDir(name)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "cannot be read")
	}
	var r reader
	for _, f := range list {
		if !f.Type().IsRegular() || limit(f.Name()) == 0 {
			continue
		}
		if err := r.open(filepath.Join(name, f.Name()), f.Name()); err != nil {
			return nil, err
		}
	}
	return r.done()
}

func (r *reader) open(path, name string) error {
	file, err := os.Open(path)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "%s cannot be read", name)
	}
	defer file.Close()
	return r.read(name, file)
}

// read reads one file of a known kind, and no more of it than its limit.
func (r *reader) read(name string, in io.Reader) error {
	most := limit(name)
	raw, err := io.ReadAll(io.LimitReader(in, most+1))
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "%s: is cut short or damaged", name)
	}
	if int64(len(raw)) > most {
		return invalid(name, "has more than %d bytes", most)
	}
	return r.add(name, raw)
}
