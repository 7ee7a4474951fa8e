package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	"gocloud.dev/gcerrors"

	"github.com/skein-project/skein/api/fault"
)

// Objects are readable for every user: the pods that read them run as others.
const (
	fileMode = 0o644
	dirMode  = 0o777 // as the process's umask has it

	tempSuffix = ".tmp"
)

// folder is the place of a store in a file system.
type folder struct {
	root   string
	bucket *blob.Bucket
	dir    *os.Root // guards against links that lead out of the root
}

func (s *Store) openFolder(uri string) error {
	root := filepath.Clean(strings.TrimPrefix(uri, "file://"))
	if !filepath.IsAbs(root) || root == "/" {
		return fault.Field("objectStore.root", "%q is not an absolute folder path", uri)
	}
	bucket, err := fileblob.OpenBucket(root, &fileblob.Options{
		CreateDir: true,
		NoTempDir: true,
		Metadata:  fileblob.MetadataDontWrite,
	})
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "open object store %s", root)
	}
	dir, err := os.OpenRoot(root)
	if err != nil {
		return errors.Join(fault.Wrap(fault.Unavailable, err, "open object store %s", root), bucket.Close())
	}
	s.root, s.bucket, s.place = root, bucket, &folder{root: root, bucket: bucket, dir: dir}
	return nil
}

// Close gives the folder back.
func (f *folder) Close() error { return f.dir.Close() }

func (f *folder) key(uri string) (string, error) {
	path := strings.TrimPrefix(uri, "file://")
	if !filepath.IsAbs(path) {
		return "", fault.Field("uri", "%q is not an absolute path under %s", uri, f.root)
	}
	key, ok := strings.CutPrefix(filepath.Clean(path), f.root+"/")
	if !ok {
		return "", fault.Field("uri", "%q does not lie under %s", uri, f.root)
	}
	if strings.ContainsFunc(key, isControl) {
		return "", fault.Field("uri", "%q holds control characters", uri)
	}
	if strings.HasSuffix(key, ".attrs") || strings.HasSuffix(key, tempSuffix) {
		return "", fault.Field("uri", "%q ends in a suffix that the store keeps for itself", uri)
	}
	return key, nil
}

func isControl(r rune) bool { return r < 32 || r == 0x7f }

// check wants a file, reached by no link that leads out of the root.
func (f *folder) check(ctx context.Context, key, uri string) error {
	info, err := f.dir.Stat(key)
	if err != nil {
		return f.fault(ctx, err, uri)
	}
	if !info.Mode().IsRegular() {
		return fault.E(fault.NotFound, "no object %s", uri)
	}
	return nil
}

// hidden tells files that are being written from objects.
func (f *folder) hidden(key string) bool { return strings.HasSuffix(key, tempSuffix) }

func (f *folder) fault(_ context.Context, err error, uri string) error {
	var known *fault.Error
	switch {
	case errors.As(err, &known):
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("object %s: %w", uri, err)
	case errors.Is(err, fs.ErrNotExist), gcerrors.Code(err) == gcerrors.NotFound, errors.Is(err, syscall.ENOTDIR):
		return fault.E(fault.NotFound, "no object %s", uri)
	case errors.Is(err, fs.ErrExist), gcerrors.Code(err) == gcerrors.FailedPrecondition:
		return fault.E(fault.Conflict, "object %s exists already", uri)
	case errors.Is(err, syscall.ENAMETOOLONG):
		return fault.Field("uri", "%q has a name that is too long", uri)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fault.Wrap(fault.Exhausted, err, "the object store's disk is full and nothing was stored; try again when its operator has made room")
	}
	return fault.Wrap(fault.Internal, err, "object store: %s", uri)
}

func (f *folder) create(ctx context.Context, key, uri string, once bool) (io.WriteCloser, error) {
	if dir := filepath.Dir(key); dir != "." {
		if err := f.dir.MkdirAll(dir, dirMode); err != nil {
			return nil, f.fault(ctx, err, uri)
		}
	}
	if once {
		return f.createOnce(ctx, key, uri)
	}
	w, err := f.bucket.NewWriter(ctx, key, &blob.WriterOptions{
		ContentType: contentType,
		BeforeWrite: func(as func(any) bool) error {
			var file *os.File
			if !as(&file) {
				return nil
			}
			return file.Chmod(fileMode)
		},
	})
	if err != nil {
		return nil, f.fault(ctx, err, uri)
	}
	return &writer{ctx: ctx, w: w, place: f, uri: uri}, nil
}

// createOnce does what fileblob's IfNotExist only promises within one writer:
// it links the finished file to its name, which fails if the name is taken.
func (f *folder) createOnce(ctx context.Context, key, uri string) (io.WriteCloser, error) {
	if _, err := f.dir.Stat(key); err == nil {
		return nil, fault.E(fault.Conflict, "object %s exists already", uri)
	}
	temp := key + "." + strconv.FormatInt(time.Now().UnixNano(), 16) + tempSuffix
	file, err := f.dir.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return nil, f.fault(ctx, err, uri)
	}
	if err := file.Chmod(fileMode); err != nil {
		return nil, errors.Join(f.fault(ctx, err, uri), file.Close(), f.dir.Remove(temp))
	}
	return &onceWriter{ctx: ctx, f: file, in: f, temp: temp, key: key, uri: uri}, nil
}

type onceWriter struct {
	ctx            context.Context // of the call that writes; cancelled to abandon
	f              *os.File
	in             *folder
	temp, key, uri string
	failed         error // of a write: what is there is not whole
}

func (w *onceWriter) Write(p []byte) (int, error) {
	n, err := w.f.Write(p)
	if err != nil {
		w.failed = w.in.fault(w.ctx, err, w.uri)
		return n, w.failed
	}
	return n, nil
}

func (w *onceWriter) Close() error {
	defer func() { _ = w.in.dir.Remove(w.temp) }() // gone already, or stranded: no harm
	if err := w.f.Close(); err != nil {
		return w.in.fault(w.ctx, err, w.uri)
	}
	if w.failed != nil {
		return w.failed
	}
	if err := w.ctx.Err(); err != nil {
		return w.in.fault(w.ctx, err, w.uri)
	}
	if err := w.in.dir.Link(w.temp, w.key); err != nil {
		return w.in.fault(w.ctx, err, w.uri)
	}
	return nil
}
