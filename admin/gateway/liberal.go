package gateway

import (
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// liberal takes what clients send beside the letter: HEAD for what can be got,
// Accept headers with several types or parameters, and queries with bare
// semicolons or percent signs, which net/url refuses whole.
func liberal(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = r.Clone(r.Context())
		if r.Method == http.MethodHead {
			r.Method = http.MethodGet // net/http drops the body of the answer
		}
		r.URL.RawQuery = escapeStray(r.URL.RawQuery)
		accept(r.Header)
		next.ServeHTTP(w, r)
	})
}

// readable refuses what no message can hold: paths and queries that are not
// UTF-8, and bodies that say that they are too large.
func readable(mux *runtime.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		refuse := func(code int, message string) {
			_, out := runtime.MarshalerForRequest(mux, r)
			st := status.New(codes.InvalidArgument, message)
			runtime.HTTPError(r.Context(), mux, out, w, r, &runtime.HTTPStatusError{HTTPStatus: code, Err: st.Err()})
		}
		query, err := url.QueryUnescape(r.URL.RawQuery)
		switch {
		case err != nil || !utf8.ValidString(query):
			refuse(http.StatusBadRequest, "query: must be valid UTF-8, escaped as in URLs")
		case !utf8.ValidString(r.URL.Path):
			refuse(http.StatusBadRequest, "path: must be valid UTF-8, escaped as in URLs")
		case r.ContentLength > MaxBody:
			refuse(http.StatusRequestEntityTooLarge, fmt.Sprintf("body: has %d bytes, at most %d are taken", r.ContentLength, MaxBody))
		default:
			mux.ServeHTTP(w, r)
		}
	})
}

// escapeStray escapes semicolons, and percent signs that escape nothing. A
// plus stays: it is a space, which also joins filters.
func escapeStray(query string) string {
	var out strings.Builder
	for i := range len(query) {
		switch c := query[i]; {
		case c == ';':
			out.WriteString("%3B")
		case c == '%' && (i+2 >= len(query) || !isHex(query[i+1]) || !isHex(query[i+2])):
			out.WriteString("%25")
		default:
			out.WriteByte(c)
		}
	}
	return out.String()
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// accept leaves the first type of the Accept header that we can write, so that
// the encoding of answers and errors does not hang on the header's spelling.
func accept(h http.Header) {
	for _, listed := range strings.Split(strings.Join(h.Values("Accept"), ","), ",") {
		switch kind, _, _ := mime.ParseMediaType(listed); kind {
		case octets:
			h.Set("Accept", octets)
			return
		case "application/json", "text/json":
			h.Set("Accept", "*") // the marshaler of all other types
			return
		}
	}
	h.Del("Accept")
}
