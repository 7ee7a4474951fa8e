package dataproxy

import (
	"context"
	"encoding/base64"
	"net/http"
	"time"

	"github.com/skein-project/skein/api/flyteidl/service"
)

// digestMetadata is where Flyte keeps the md5 of an upload beside it.
const digestMetadata = "flytecontentmd5"

// getLink signs a link to read an object.
func (p *Proxy) getLink(ctx context.Context, key string, expires time.Time) (string, error) {
	if p.deps.Signer != nil {
		return p.deps.Signer.SignGet(ctx, p.uri(key), p.life(expires))
	}
	return p.link(grant{Method: http.MethodGet, Key: key, Expires: expires}), nil
}

// putLink signs a link to write an object, and gives the headers that must go
// with it.
func (p *Proxy) putLink(ctx context.Context, key string, expires time.Time, req *service.CreateUploadLocationRequest) (string, map[string]string, error) {
	digest, sum := req.GetContentMd5(), base64.StdEncoding.EncodeToString(req.GetContentMd5())
	if p.deps.Signer != nil {
		metadata := map[string]string{}
		if req.GetAddContentMd5Metadata() && len(digest) > 0 {
			metadata[digestMetadata] = sum
		}
		return p.deps.Signer.SignPut(ctx, p.uri(key), digest, metadata, p.life(expires))
	}
	headers := map[string]string{}
	if len(digest) > 0 {
		headers["Content-MD5"] = sum
	}
	return p.link(grant{Method: http.MethodPut, Key: key, Expires: expires, MD5: sum}), headers, nil
}

// link is a link to Handler.
func (p *Proxy) link(g grant) string {
	return p.cfg.PublicURL + Prefix + escape(g.Key) + "?" + p.signer.sign(g).Encode()
}

// life is what is left until then: whole seconds, of which stores count from
// the last full one.
func (p *Proxy) life(expires time.Time) time.Duration {
	return max(expires.Sub(p.deps.Now().Truncate(time.Second)), time.Second)
}
