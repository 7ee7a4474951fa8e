package gateway

import "net/http"

const (
	corsMethods = "GET, HEAD, POST, PUT, DELETE, OPTIONS"
	corsHeaders = "Content-Type, flyte-authorization"
)

// cors lets pages of any origin call the API, as Flyte's charts do, so that a
// console may be served from elsewhere. No credentials go with such calls:
// what keeps strangers out is where the port is bound.
func cors(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		if r.Header.Get("Origin") != "" {
			h.Set("Access-Control-Allow-Origin", "*")
		}
		if r.Method != http.MethodOptions {
			next.ServeHTTP(w, r)
			return
		}
		if r.Header.Get("Access-Control-Request-Method") != "" {
			h.Set("Access-Control-Allow-Methods", corsMethods)
			h.Set("Access-Control-Allow-Headers", corsHeaders)
			h.Set("Access-Control-Max-Age", "600")
		}
		h.Set("Allow", corsMethods)
		w.WriteHeader(http.StatusNoContent)
	})
}
