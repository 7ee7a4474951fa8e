// Package blob is where bytes live: inputs, outputs, closures, uploads, decks.
//
// It reads and writes whole objects by URI on top of gocloud.dev/blob, in a
// folder or in a bucket of an S3 server. It does not know what the bytes mean,
// who may see them, or how objects are named; it keeps nothing in memory. The
// admin plane sees it only through ports of its own.
//
// Invariants: every URI lies under the store's root; an object is either
// wholly there or not there at all; a URI of a folder, as containers and
// clients see it, is a bare absolute path, and one of a bucket begins with
// s3://; a bucket's server that does not answer gives fault.Unavailable within
// a bound; credentials are never in an error or a log.
package blob

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"gocloud.dev/blob"

	"github.com/skein-project/skein/api/fault"
)

// DefaultMaxRead bounds what Read loads into memory.
const DefaultMaxRead = 10 << 20

// Config says where a store lies.
type Config struct {
	// Root is a bare absolute folder path (file:// is understood too), which is
	// made if it does not exist, or s3://bucket/prefix, whose bucket must exist.
	Root string
	// MaxRead bounds Read, in bytes; DefaultMaxRead if zero.
	MaxRead int64
	// S3 says how the bucket of an s3:// root is reached.
	S3 S3
}

// S3 says how a server of buckets is reached. Credentials come from where the
// AWS SDK looks for them: environment, files, a role of the pod or machine.
type S3 struct {
	// Endpoint is the server's URL; empty: that of AWS in the region.
	Endpoint string
	// PublicEndpoint is the server's URL in signed links, as clients reach it;
	// empty: Endpoint.
	PublicEndpoint string
	// Region is what requests are signed for; empty: what AWS_REGION or the
	// shared configuration file say, and us-east-1 if there is an Endpoint.
	Region string
	// PathStyle puts the bucket into the path and not into the host name.
	PathStyle bool
	// Timeout is how long the server may be silent within one try;
	// DefaultTimeout if zero. There are three tries.
	Timeout time.Duration
}

// Store reads and writes objects under one root.
type Store struct {
	root    string
	maxRead int64
	bucket  *blob.Bucket
	place   place
}

// place is what folders and buckets differ in.
type place interface {
	// key is the object's name within the bucket, or why it cannot be one.
	key(uri string) (string, error)
	// check refuses to read what is no object of the store, if that can be
	// told without reading.
	check(ctx context.Context, key, uri string) error
	create(ctx context.Context, key, uri string, once bool) (io.WriteCloser, error)
	// hidden tells what List leaves out.
	hidden(key string) bool
	fault(ctx context.Context, err error, uri string) error
}

// Open opens the store at cfg.Root. It contacts no server.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	s := &Store{maxRead: cfg.MaxRead}
	if s.maxRead == 0 {
		s.maxRead = DefaultMaxRead
	}
	scheme, _, hasScheme := strings.Cut(cfg.Root, "://")
	switch {
	case hasScheme && scheme == "s3":
		return s, s.openBucket(ctx, cfg)
	case hasScheme && scheme != "file":
		return nil, fault.E(fault.Unsupported, "object store %q: only a folder or an s3:// bucket can be opened so far", cfg.Root)
	}
	return s, s.openFolder(cfg.Root)
}

// Close releases what the store holds open.
func (s *Store) Close() error {
	err := s.bucket.Close()
	if c, ok := s.place.(io.Closer); ok {
		err = errors.Join(err, c.Close())
	}
	return err
}

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
		return nil, s.place.fault(ctx, err, uri)
	}
	if int64(len(data)) > s.maxRead {
		return nil, fault.E(fault.Exhausted, "object %s is larger than %d bytes", uri, s.maxRead)
	}
	return data, nil
}

// Reader opens an object for reading. What it returns can seek, too
// (io.ReadSeekCloser).
func (s *Store) Reader(ctx context.Context, uri string) (io.ReadCloser, error) {
	key, err := s.existing(ctx, uri)
	if err != nil {
		return nil, err
	}
	r, err := s.bucket.NewReader(ctx, key, nil)
	if err != nil {
		return nil, s.place.fault(ctx, err, uri)
	}
	return &reader{ctx: ctx, r: r, place: s.place, uri: uri}, nil
}

// reader gives faults for the bucket's errors.
type reader struct {
	ctx   context.Context // of the call that reads
	r     *blob.Reader
	place place
	uri   string
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // a connection that was cut is an EOF, too
		err = r.place.fault(r.ctx, err, r.uri)
	}
	return n, err
}

func (r *reader) Seek(offset int64, whence int) (int64, error) { return r.r.Seek(offset, whence) }

func (r *reader) Close() error { return r.r.Close() }

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
	key, err := s.existing(ctx, uri)
	if err != nil {
		return 0, nil, err
	}
	attrs, err := s.bucket.Attributes(ctx, key)
	if err != nil {
		return 0, nil, s.place.fault(ctx, err, uri)
	}
	return attrs.Size, attrs.MD5, nil
}

// List gives the URIs of the objects under a URI that names a folder.
func (s *Store) List(ctx context.Context, prefix string) ([]string, error) {
	key := ""
	if strings.TrimRight(strings.TrimPrefix(prefix, "file://"), "/") != s.root {
		k, err := s.place.key(prefix)
		if err != nil {
			return nil, err
		}
		key = strings.TrimRight(k, "/") + "/"
	}
	var uris []string
	it := s.bucket.List(&blob.ListOptions{Prefix: key})
	for {
		obj, err := it.Next(ctx)
		if err == io.EOF { //nolint:errorlint // a connection that was cut is an EOF, too, and no end of the list
			return uris, nil
		}
		if err != nil {
			return nil, s.place.fault(ctx, err, prefix)
		}
		if !s.place.hidden(obj.Key) {
			uris = append(uris, s.root+"/"+obj.Key)
		}
	}
}

// existing is the key of an object that may be read.
func (s *Store) existing(ctx context.Context, uri string) (string, error) {
	key, err := s.place.key(uri)
	if err != nil {
		return "", err
	}
	return key, s.place.check(ctx, key, uri)
}
