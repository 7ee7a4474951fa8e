package dataproxy

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // the wire contract's digest of content, not a secret's
	"encoding/base64"
	"encoding/json"
	"errors"
	"hash"
	"io"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/skein-project/skein/api/fault"
)

// Handler serves signed links below Prefix: PUT writes an object, GET and HEAD
// read one, ranges included.
func (p *Proxy) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := p.serve(w, r); err != nil {
			p.fail(w, r, err)
		}
	})
}

func (p *Proxy) serve(w http.ResponseWriter, r *http.Request) error {
	key, ok := strings.CutPrefix(r.URL.Path, Prefix)
	if !ok {
		return fault.E(fault.NotFound, "there is nothing here")
	}
	method := r.Method
	switch method {
	case http.MethodPut, http.MethodGet:
	case http.MethodHead:
		method = http.MethodGet
	default:
		w.Header().Set("Allow", "GET, HEAD, PUT")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return nil
	}
	g, err := p.signer.verify(method, key, r.URL.Query(), p.deps.Now())
	if err != nil {
		return err
	}
	if method == http.MethodPut {
		return p.put(w, r, g)
	}
	return p.read(w, r, g)
}

// put writes the body under the grant's key, once.
func (p *Proxy) put(w http.ResponseWriter, r *http.Request, g grant) error {
	if g.MD5 != "" && r.Header.Get("Content-MD5") != g.MD5 {
		return fault.Field("Content-MD5", "must be %s, as the link was made for", g.MD5)
	}
	if r.ContentLength > p.cfg.MaxUpload {
		return tooLarge(p.cfg.MaxUpload)
	}
	err := p.write(r, g)
	if fault.Is(err, fault.Conflict) && g.MD5 != "" {
		err = p.same(r, g, err)
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// write streams the body into a new object that appears only if all of it came
// and, with a digest, is what it should be.
func (p *Proxy) write(r *http.Request, g grant) error {
	ctx, abandon := context.WithCancel(r.Context())
	defer abandon()
	out, err := p.deps.Objects.Create(ctx, p.uri(g.Key), true)
	if err != nil {
		return err
	}
	if err := p.copy(out, r, g); err != nil {
		abandon()
		_ = out.Close() // it gives the cancellation that we have just caused
		return err
	}
	return out.Close()
}

func (p *Proxy) copy(out io.Writer, r *http.Request, g grant) error {
	sum := md5.New() //nolint:gosec // see above
	var store *fault.Error
	n, err := io.Copy(io.MultiWriter(out, sum), io.LimitReader(r.Body, p.cfg.MaxUpload+1))
	switch {
	case err != nil && r.Context().Err() != nil:
		return r.Context().Err()
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fault.E(fault.Invalid, "the body ended before its length")
	case errors.As(err, &store): // it is full, say
		return err
	case err != nil:
		return fault.Wrap(fault.Unavailable, err, "the upload could not be written")
	case n > p.cfg.MaxUpload:
		return tooLarge(p.cfg.MaxUpload)
	}
	return matches(sum, g)
}

func matches(sum hash.Hash, g grant) error {
	if g.MD5 == "" {
		return nil
	}
	if got := base64.StdEncoding.EncodeToString(sum.Sum(nil)); got != g.MD5 {
		return fault.Field("Content-MD5", "the body's md5 is %s, the link was made for %s", got, g.MD5)
	}
	return nil
}

// same takes a repeated upload of the same content for a success: clients try
// again when an answer is lost.
func (p *Proxy) same(r *http.Request, g grant, conflict error) error {
	want, err := base64.StdEncoding.DecodeString(g.MD5)
	if err != nil {
		return conflict
	}
	have, err := p.digest(r.Context(), g.Key)
	if err != nil {
		return err
	}
	if !bytes.Equal(want, have) {
		return conflict
	}
	return p.copy(io.Discard, r, g) // it has to be what it says, though it is there already
}

// errTooLarge tells an upload that never fits from a store that is full now.
var errTooLarge = errors.New("too large")

func tooLarge(most int64) error {
	return fault.Wrap(fault.Exhausted, errTooLarge, "the upload is larger than %d bytes", most)
}

// read serves an object. Its type is told from its name, and browsers are not
// to guess another: decks are pages that users wrote.
func (p *Proxy) read(w http.ResponseWriter, r *http.Request, g grant) error {
	body, err := p.deps.Objects.Reader(r.Context(), p.uri(g.Key))
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }() // only read from
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "private, no-store")
	h.Set("Content-Security-Policy", "sandbox allow-scripts")
	name := path.Base(g.Key)
	if seeker, ok := body.(io.ReadSeeker); ok {
		if !strings.Contains(name, ".") {
			h.Set("Content-Type", "application/octet-stream")
		}
		http.ServeContent(w, r, name, time.Time{}, seeker)
		return nil
	}
	h.Set("Content-Type", "application/octet-stream")
	if r.Method == http.MethodGet {
		_, _ = io.Copy(w, body) // the header is out; a failure shows as a short body
	}
	return nil
}

// fail tells an error as JSON, with the status that fault's table gives.
func (p *Proxy) fail(w http.ResponseWriter, r *http.Request, err error) {
	kind, message := fault.Of(err), "internal error"
	var f *fault.Error
	if errors.As(err, &f) && kind != fault.Internal {
		message = f.Public()
	}
	code := kind.HTTP()
	switch {
	case errors.Is(err, context.Canceled):
		code, message = 499, "the call was cancelled"
	case errors.Is(err, errTooLarge):
		code = http.StatusRequestEntityTooLarge
	case kind == fault.Exhausted:
		code = http.StatusInsufficientStorage
	}
	p.deps.Log.InfoContext(r.Context(), "signed link refused", "method", r.Method, "path", r.URL.Path, "status", code, "error", err)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]string{"message": message}) // the client may be gone
}
