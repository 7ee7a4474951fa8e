// Package blob is where bytes live: inputs, outputs, closures, uploads, decks.
//
// It reads and writes whole objects by URI on top of gocloud.dev/blob. It does
// not know what the bytes mean, who may see them, or how objects are named;
// it keeps nothing in memory. The admin plane sees it only through ports of
// its own.
//
// Invariants: every URI lies under the store's root; an object is either
// wholly there or not there at all; a URI of a file store, as containers and
// clients see it, is a bare absolute path.
package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	"gocloud.dev/gcerrors"

	"github.com/skein-project/skein/api/fault"
)

// DefaultMaxRead bounds what Read loads into memory.
const DefaultMaxRead = 10 << 20

// Config says where a store lies.
type Config struct {
	// Root is a bare absolute folder path (file:// is understood too). The
	// folder is made if it does not exist.
	Root string
	// MaxRead bounds Read, in bytes; DefaultMaxRead if zero.
	MaxRead int64
}

// Store reads and writes objects under one root.
type Store struct {
	root    string
	maxRead int64
	bucket  *blob.Bucket
	dir     *os.Root // guards against links that lead out of the root
}

// Open opens the store at cfg.Root.
func Open(_ context.Context, cfg Config) (*Store, error) {
	if scheme, _, ok := strings.Cut(cfg.Root, "://"); ok && scheme != "file" {
		return nil, fault.E(fault.Unsupported, "object store %q: only a folder can be opened so far", cfg.Root)
	}
	root := filepath.Clean(strings.TrimPrefix(cfg.Root, "file://"))
	if !filepath.IsAbs(root) || root == "/" {
		return nil, fault.Field("root", "%q is not an absolute folder path", cfg.Root)
	}
	bucket, err := fileblob.OpenBucket(root, &fileblob.Options{
		CreateDir: true,
		NoTempDir: true,
		Metadata:  fileblob.MetadataDontWrite,
	})
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "open object store %s", root)
	}
	dir, err := os.OpenRoot(root)
	if err != nil {
		return nil, errors.Join(fault.Wrap(fault.Unavailable, err, "open object store %s", root), bucket.Close())
	}
	maxRead := cfg.MaxRead
	if maxRead == 0 {
		maxRead = DefaultMaxRead
	}
	return &Store{root: root, maxRead: maxRead, bucket: bucket, dir: dir}, nil
}

// Close releases what the store holds open.
func (s *Store) Close() error { return errors.Join(s.bucket.Close(), s.dir.Close()) }

// Root is the URI prefix of every object, without a trailing slash.
func (s *Store) Root() string { return s.root }

// Join appends path elements to a URI. Empty elements are left out.
func Join(base string, elems ...string) string {
	b := strings.TrimRight(base, "/")
	for _, e := range elems {
		if e = strings.Trim(e, "/"); e != "" {
			b += "/" + e
		}
	}
	return b
}

// Read loads a whole object: fault.NotFound if there is none,
// fault.Exhausted if it is larger than the store's limit.
func (s *Store) Read(ctx context.Context, uri string) ([]byte, error) {
	r, err := s.Reader(ctx, uri)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(r, s.maxRead+1))
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, faultOf(err, uri)
	}
	if int64(len(data)) > s.maxRead {
		return nil, fault.E(fault.Exhausted, "object %s is larger than %d bytes", uri, s.maxRead)
	}
	return data, nil
}

// Reader opens an object for reading. What it returns can seek, too
// (io.ReadSeekCloser).
func (s *Store) Reader(ctx context.Context, uri string) (io.ReadCloser, error) {
	key, err := s.existing(uri)
	if err != nil {
		return nil, err
	}
	r, err := s.bucket.NewReader(ctx, key, nil)
	if err != nil {
		return nil, faultOf(err, uri)
	}
	return r, nil
}

// Exists reports whether there is an object of that URI.
func (s *Store) Exists(ctx context.Context, uri string) (bool, error) {
	_, _, err := s.Attributes(ctx, uri)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return err == nil, err
}

// Attributes gives an object's size and, if the store keeps one, its md5.
func (s *Store) Attributes(ctx context.Context, uri string) (size int64, md5 []byte, err error) {
	key, err := s.existing(uri)
	if err != nil {
		return 0, nil, err
	}
	attrs, err := s.bucket.Attributes(ctx, key)
	if err != nil {
		return 0, nil, faultOf(err, uri)
	}
	return attrs.Size, attrs.MD5, nil
}

// List gives the URIs of the objects under a URI that names a folder.
func (s *Store) List(ctx context.Context, prefix string) ([]string, error) {
	key := ""
	if strings.TrimRight(strings.TrimPrefix(prefix, "file://"), "/") != s.root {
		k, err := s.key(prefix)
		if err != nil {
			return nil, err
		}
		key = k + "/"
	}
	var uris []string
	it := s.bucket.List(&blob.ListOptions{Prefix: key})
	for {
		obj, err := it.Next(ctx)
		if errors.Is(err, io.EOF) {
			return uris, nil
		}
		if err != nil {
			return nil, faultOf(err, prefix)
		}
		if !strings.HasSuffix(obj.Key, tempSuffix) {
			uris = append(uris, s.root+"/"+obj.Key)
		}
	}
}

// key is the object's name within the bucket.
func (s *Store) key(uri string) (string, error) {
	path := strings.TrimPrefix(uri, "file://")
	if !filepath.IsAbs(path) {
		return "", fault.Field("uri", "%q is not an absolute path under %s", uri, s.root)
	}
	key, ok := strings.CutPrefix(filepath.Clean(path), s.root+"/")
	if !ok {
		return "", fault.Field("uri", "%q does not lie under %s", uri, s.root)
	}
	if strings.ContainsFunc(key, func(r rune) bool { return r < 32 || r == 0x7f }) {
		return "", fault.Field("uri", "%q holds control characters", uri)
	}
	if strings.HasSuffix(key, ".attrs") || strings.HasSuffix(key, tempSuffix) {
		return "", fault.Field("uri", "%q ends in a suffix that the store keeps for itself", uri)
	}
	return key, nil
}

// existing is key for an object that is there, reached by no link that leads
// out of the root.
func (s *Store) existing(uri string) (string, error) {
	key, err := s.key(uri)
	if err != nil {
		return "", err
	}
	info, err := s.dir.Stat(key)
	if err != nil {
		return "", faultOf(err, uri)
	}
	if !info.Mode().IsRegular() {
		return "", fault.E(fault.NotFound, "no object %s", uri)
	}
	return key, nil
}

func faultOf(err error, uri string) error {
	var f *fault.Error
	switch {
	case errors.As(err, &f):
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("object %s: %w", uri, err)
	case errors.Is(err, fs.ErrNotExist), gcerrors.Code(err) == gcerrors.NotFound, isNotDir(err):
		return fault.E(fault.NotFound, "no object %s", uri)
	case errors.Is(err, fs.ErrExist), gcerrors.Code(err) == gcerrors.FailedPrecondition:
		return fault.E(fault.Conflict, "object %s exists already", uri)
	case isNameTooLong(err):
		return fault.Field("uri", "%q has a name that is too long", uri)
	}
	return fault.Wrap(fault.Internal, err, "object store: %s", uri)
}
