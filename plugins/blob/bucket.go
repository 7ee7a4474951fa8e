package blob

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"gocloud.dev/blob"
	"gocloud.dev/blob/s3blob"

	"github.com/skein-project/skein/api/fault"
)

// bucket is the place of a store on an S3 server.
type bucket struct {
	root   string // s3://name, or s3://name/prefix
	name   string
	server string // as configured; "aws"
	prefix string // empty, or with a slash at its end
	bucket *blob.Bucket
	signer *s3.PresignClient
}

func (s *Store) openBucket(ctx context.Context, cfg Config) error {
	name, prefix, _ := strings.Cut(strings.TrimRight(strings.TrimPrefix(cfg.Root, "s3://"), "/"), "/")
	if name == "" || strings.ContainsAny(cfg.Root, "?#") || prefix != "" && !plain(prefix) {
		return fault.Field("objectStore.root", "%q is not of the form s3://bucket/prefix", cfg.Root)
	}
	b := &bucket{root: "s3://" + name, name: name, server: cmp.Or(strings.ToLower(strings.TrimRight(cfg.S3.Endpoint, "/")), "aws")}
	if prefix != "" {
		b.root, b.prefix = b.root+"/"+prefix, prefix+"/"
	}
	client, checksums, err := dial(ctx, cfg.S3)
	if err != nil {
		return err
	}
	b.signer = presigner(client, cfg.S3)
	opened, err := s3blob.OpenBucket(ctx, client, name, &s3blob.Options{RequestChecksumCalculation: checksums})
	if err != nil {
		return fault.Wrap(fault.Internal, err, "open object store %s", b.root)
	}
	if b.prefix != "" {
		opened = blob.PrefixedBucket(opened, b.prefix)
	}
	b.bucket = opened
	s.root, s.bucket, s.place = b.root, opened, b
	return nil
}

// plain tells names that are the same to every S3 server and to every library:
// some take dots for a way upwards, and gocloud writes a few names otherwise.
func plain(key string) bool {
	if strings.ContainsFunc(key, isControl) || strings.Contains(key, "../") || strings.Contains(key, "__0x") {
		return false
	}
	return !slices.ContainsFunc(strings.Split(key, "/"), func(s string) bool { return s == "." || s == ".." })
}

func (b *bucket) key(uri string) (string, error) {
	key, ok := strings.CutPrefix(uri, b.root+"/")
	if !ok || key == "" {
		return "", fault.Field("uri", "%q does not lie under %s", uri, b.root)
	}
	if !plain(key) {
		return "", fault.Field("uri", "%q holds control characters, a . or .. segment, or what stores keep for themselves", uri)
	}
	return key, nil
}

// check has nothing to ask: the read will tell.
func (b *bucket) check(_ context.Context, key, uri string) error {
	if strings.HasSuffix(key, "/") {
		return fault.E(fault.NotFound, "no object %s", uri)
	}
	return nil
}

// hidden tells the empty objects by which some programs show folders.
func (b *bucket) hidden(key string) bool { return strings.HasSuffix(key, "/") }

func (b *bucket) create(ctx context.Context, key, uri string, once bool) (io.WriteCloser, error) {
	w, err := b.bucket.NewWriter(ctx, key, &blob.WriterOptions{ContentType: contentType, IfNotExist: once})
	if err != nil {
		return nil, b.fault(ctx, err, uri)
	}
	return &writer{ctx: ctx, w: w, place: b, uri: uri}, nil
}

// put writes what is at hand as a whole, in one request and without a buffer.
func (b *bucket) put(ctx context.Context, uri string, data io.ReadSeeker) error {
	key, err := b.key(uri)
	if err != nil {
		return err
	}
	err = b.bucket.Upload(ctx, key, data, &blob.WriterOptions{ContentType: contentType})
	if err != nil {
		return b.fault(ctx, err, uri)
	}
	return nil
}

// object is the object's name within the whole bucket.
func (b *bucket) object(key string) string { return b.prefix + key }

// String names the bucket for people.
func (b *bucket) String() string { return fmt.Sprintf("bucket %s", path.Join(b.name, b.prefix)) }
