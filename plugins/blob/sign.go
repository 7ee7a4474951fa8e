package blob

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/textproto"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/skein-project/skein/api/fault"
)

// presigner signs links for the server as clients reach it.
func presigner(client *s3.Client, cfg S3) *s3.PresignClient {
	return s3.NewPresignClient(client, s3.WithPresignClientFromClientOptions(reach(cfg.PublicEndpoint, cfg.PathStyle)))
}

// Signs reports whether the store signs links of its own: clients then read and
// write at its server, and need nothing of us.
func (s *Store) Signs() bool { _, ok := s.place.(*bucket); return ok }

// SignGet makes a link by which anybody can read one object for so long. With
// credentials that are themselves temporary it ends with them.
func (s *Store) SignGet(ctx context.Context, uri string, life time.Duration) (link string, err error) {
	b, key, err := s.signing(uri)
	if err != nil {
		return "", err
	}
	r, err := b.signer.PresignGetObject(ctx, &s3.GetObjectInput{Bucket: &b.name, Key: aws.String(b.object(key))}, s3.WithPresignExpires(life))
	if err != nil {
		return "", b.fault(ctx, err, uri)
	}
	return r.URL, nil
}

// SignPut makes a link by which anybody can write one object for so long. With
// a digest only content of that md5 is taken. Whoever writes must send the
// headers that it gives, as they are.
func (s *Store) SignPut(ctx context.Context, uri string, md5 []byte, metadata map[string]string, life time.Duration) (link string, headers map[string]string, err error) {
	b, key, err := s.signing(uri)
	if err != nil {
		return "", nil, err
	}
	in := &s3.PutObjectInput{Bucket: &b.name, Key: aws.String(b.object(key)), Metadata: metadata}
	if len(md5) > 0 {
		in.ContentMD5 = aws.String(base64.StdEncoding.EncodeToString(md5))
	}
	r, err := b.signer.PresignPutObject(ctx, in, s3.WithPresignExpires(life))
	if err != nil {
		return "", nil, b.fault(ctx, err, uri)
	}
	return r.URL, mustSend(r.SignedHeader), nil
}

func (s *Store) signing(uri string) (*bucket, string, error) {
	b, ok := s.place.(*bucket)
	if !ok {
		return nil, "", fault.E(fault.Unsupported, "a folder signs no links")
	}
	key, err := b.key(uri)
	return b, key, err
}

// mustSend are the signed headers less those that every client sends by itself.
func mustSend(signed http.Header) map[string]string {
	headers := map[string]string{}
	for name, values := range signed {
		switch name = textproto.CanonicalMIMEHeaderKey(name); name {
		case "Host", "Content-Length":
		case "Content-Md5":
			headers["Content-MD5"] = values[0]
		default:
			headers[strings.ToLower(name)] = values[0]
		}
	}
	return headers
}
