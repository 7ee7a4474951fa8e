package dataproxy

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/skein-project/skein/api/fault"
)

// grant is what a link allows: one method on one object until it expires, and
// for an upload with a digest, that content only.
type grant struct {
	Method  string
	Key     string
	Expires time.Time
	MD5     string // base64; empty: any content
}

// signer signs and checks grants.
type signer struct {
	key []byte
	id  string // of the key, so that a changed key is told from a forged link
}

func newSigner(key []byte) signer {
	sum := sha256.Sum256(append([]byte("skein upload key id\n"), key...))
	return signer{key: key, id: hex.EncodeToString(sum[:4])}
}

func (s signer) mac(g grant) []byte {
	h := hmac.New(sha256.New, s.key)
	// No field can hold a line feed: checkKey refuses control characters, and
	// the others are ours or compared with what we made.
	for _, field := range []string{"skein-object-1", s.id, g.Method, g.Key, strconv.FormatInt(g.Expires.Unix(), 10), g.MD5} {
		_, _ = h.Write([]byte(field + "\n")) // never fails
	}
	return h.Sum(nil)
}

func (s signer) sign(g grant) url.Values {
	v := url.Values{
		"kid": {s.id},
		"exp": {strconv.FormatInt(g.Expires.Unix(), 10)},
		"sig": {base64.RawURLEncoding.EncodeToString(s.mac(g))},
	}
	if g.MD5 != "" {
		v.Set("md5", g.MD5)
	}
	return v
}

// verify gives the grant of a link that is genuine and has not expired.
func (s signer) verify(method, key string, v url.Values, now time.Time) (grant, error) {
	if err := checkKey(key); err != nil {
		return grant{}, err
	}
	if v.Get("kid") != s.id {
		return grant{}, fault.E(fault.Forbidden, "the link was signed with another key")
	}
	seconds, err := strconv.ParseInt(v.Get("exp"), 10, 64)
	if err != nil {
		return grant{}, fault.E(fault.Forbidden, "the link is not complete")
	}
	g := grant{Method: method, Key: key, Expires: time.Unix(seconds, 0), MD5: v.Get("md5")}
	sig, err := base64.RawURLEncoding.DecodeString(v.Get("sig"))
	if err != nil || strings.Contains(g.MD5, "\n") || !hmac.Equal(sig, s.mac(g)) {
		return grant{}, fault.E(fault.Forbidden, "the link's signature is not valid for this method and object")
	}
	if !now.Before(g.Expires) {
		return grant{}, fault.E(fault.Forbidden, "the link expired at %s", g.Expires.UTC().Format(time.RFC3339))
	}
	return g, nil
}

// checkKey refuses every key that is not a plain relative path: nothing may
// climb, double or hide a segment.
func checkKey(key string) error {
	if !utf8.ValidString(key) || strings.ContainsFunc(key, unicode.IsControl) {
		return fault.Field("filename", "must be valid UTF-8 without control characters")
	}
	for segment := range strings.SplitSeq(key, "/") {
		switch {
		case segment == "" || segment == "." || segment == "..":
			return fault.Field("filename", "%q holds an empty, . or .. segment", key)
		case len(segment) > MaxFileName:
			return fault.Field("filename", "a segment has %d bytes, at most %d can name a file", len(segment), MaxFileName)
		}
	}
	return nil
}

// escape makes a key the path of a URL.
func escape(key string) string {
	segments := strings.Split(key, "/")
	for i, s := range segments {
		segments[i] = url.PathEscape(s)
	}
	return strings.Join(segments, "/")
}
