package dataproxy

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // the wire contract's digest of content, not a secret's
	"crypto/rand"
	"encoding/base32"
	"io"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/service"
)

// uploads is the folder of the object store that uploads go to.
const uploads = "uploads"

// CreateUploadLocation signs a link for one PUT (contract 9.2).
func (p *Proxy) CreateUploadLocation(ctx context.Context, req *service.CreateUploadLocationRequest) (*service.CreateUploadLocationResponse, error) {
	if err := p.checkScope(ctx, req.GetProject(), req.GetDomain()); err != nil {
		return nil, err
	}
	digest := req.GetContentMd5()
	if len(digest) == 0 && req.GetFilenameRoot() == "" {
		return nil, fault.Field("content_md5", "must be set, or filename_root must be")
	}
	if len(digest) != 0 && len(digest) != md5.Size {
		return nil, fault.Field("content_md5", "holds %d bytes; an md5 has %d raw bytes", len(digest), md5.Size)
	}
	expires, err := p.expiry(req.GetExpiresIn())
	if err != nil {
		return nil, err
	}
	key, err := uploadKey(req)
	if err != nil {
		return nil, err
	}
	if err := p.checkFree(ctx, req, key); err != nil {
		return nil, err
	}
	link, headers, err := p.putLink(ctx, key, expires, req)
	if err != nil {
		return nil, err
	}
	return &service.CreateUploadLocationResponse{
		SignedUrl: link, NativeUrl: p.uri(key), ExpiresAt: timestamppb.New(expires), Headers: headers,
	}, nil
}

func (p *Proxy) checkScope(ctx context.Context, project, domain string) error {
	if project == "" {
		return fault.Field("project", "must be set")
	}
	if domain == "" {
		return fault.Field("domain", "must be set")
	}
	known, err := p.deps.Data.GetProject(ctx, &admin.ProjectGetRequest{Id: project})
	if fault.Is(err, fault.NotFound) {
		return fault.Field("project", "%q does not exist", project)
	}
	if err != nil {
		return err
	}
	for _, d := range known.GetDomains() {
		if d.GetId() == domain {
			return nil
		}
	}
	return fault.Field("domain", "%q is not a domain of project %q", domain, project)
}

// uploadKey is uploads/<project>/<domain>/<root or digest>/<file name>.
func uploadKey(req *service.CreateUploadLocationRequest) (string, error) {
	folder := req.GetFilenameRoot()
	if folder == "" {
		folder = base32.StdEncoding.EncodeToString(req.GetContentMd5())
	}
	name := req.GetFilename()
	if name == "" {
		name = strings.ToLower(rand.Text())[:20]
	}
	if err := checkKey(folder); err != nil {
		return "", fault.Field("filename_root", "%q is not a plain relative path", req.GetFilenameRoot())
	}
	if strings.HasSuffix(name, ".tmp") || strings.HasSuffix(name, ".attrs") {
		// Object stores in a folder keep these suffixes for themselves.
		name += "_"
	}
	key := strings.Join([]string{uploads, req.GetProject(), req.GetDomain(), folder, name}, "/")
	return key, checkKey(key)
}

// checkFree refuses to hand out a chosen name that holds other content.
func (p *Proxy) checkFree(ctx context.Context, req *service.CreateUploadLocationRequest, key string) error {
	if req.GetFilename() == "" || req.GetFilenameRoot() == "" {
		return nil
	}
	_, sum, err := p.deps.Objects.Attributes(ctx, p.uri(key))
	switch {
	case fault.Is(err, fault.NotFound):
		return nil
	case err != nil:
		return err
	case bytes.Equal(sum, req.GetContentMd5()):
		return nil
	}
	// What a store calls the md5 may be another sum: of parts, or encrypted.
	if sum, err = p.digest(ctx, key); err != nil {
		return err
	}
	if !bytes.Equal(sum, req.GetContentMd5()) {
		return fault.E(fault.Conflict, "%s exists already with other content", p.uri(key))
	}
	return nil
}

// digest reads an object through to its md5.
func (p *Proxy) digest(ctx context.Context, key string) ([]byte, error) {
	r, err := p.deps.Objects.Reader(ctx, p.uri(key))
	if err != nil {
		return nil, err
	}
	h := md5.New() //nolint:gosec // see above
	_, err = io.Copy(h, r)
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	return h.Sum(nil), err
}
