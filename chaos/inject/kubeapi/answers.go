package kubeapi

import (
	"encoding/json"
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What an API server can seem to do.
const (
	Throttled   = "429"      // any request: too many, try again in a second
	Errs        = "500"      // any request
	Unavailable = "503"      // any request
	Slow        = "504"      // any request: not done in time, and in truth not at all
	Late        = "late"     // a write: 504 after it was done
	Lost        = "lost"     // a write: no answer after it was done
	Conflict    = "conflict" // an update or patch: the object is another by now
	Expired     = "expired"  // a watch: what it wants to go on from is too old; open ones end
)

// Kinds are all of them.
func Kinds() []string {
	return []string{Throttled, Errs, Unavailable, Slow, Late, Lost, Conflict, Expired}
}

// possible are the troubles that can befall a request.
func possible(r *http.Request) []string {
	kinds := []string{Throttled, Errs, Unavailable, Slow}
	switch {
	case r.Method == http.MethodPut || r.Method == http.MethodPatch:
		return append(kinds, Late, Lost, Conflict)
	case r.Method == http.MethodPost || r.Method == http.MethodDelete:
		return append(kinds, Late, Lost)
	case isWatch(r):
		return append(kinds, Expired)
	}
	return kinds
}

func isWatch(r *http.Request) bool {
	w := r.URL.Query().Get("watch")
	return r.Method == http.MethodGet && (w == "true" || w == "1")
}

// answers are the server's own words.
var answers = map[string]metav1.Status{
	Throttled: {Code: http.StatusTooManyRequests, Reason: metav1.StatusReasonTooManyRequests, Details: &metav1.StatusDetails{RetryAfterSeconds: 1},
		Message: "the server has received too many requests and has asked us to try again later"},
	Errs: {Code: http.StatusInternalServerError, Reason: metav1.StatusReasonInternalError, Message: "etcdserver: leader changed"},
	Unavailable: {Code: http.StatusServiceUnavailable, Reason: metav1.StatusReasonServiceUnavailable,
		Message: "the server is currently unable to handle the request"},
	Slow:     timeout,
	Late:     timeout,
	Conflict: {Code: http.StatusConflict, Reason: metav1.StatusReasonConflict, Message: "the object has been modified; please apply your changes to the latest version and try again"},
	Expired:  {Code: http.StatusGone, Reason: metav1.StatusReasonExpired, Message: "too old resource version"},
}

var timeout = metav1.Status{Code: http.StatusGatewayTimeout, Reason: metav1.StatusReasonTimeout, Message: "request did not complete within the allotted timeout"}

// refuse answers in the server's place.
func refuse(w http.ResponseWriter, what string) {
	status := answers[what]
	status.TypeMeta, status.Status = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, metav1.StatusFailure
	raw, err := json.Marshal(status)
	if err != nil {
		panic(err) // a Status always can
	}
	w.Header().Set("Content-Type", "application/json")
	if what == Throttled {
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(int(status.Code))
	_, _ = w.Write(raw) // who has gone needs no answer
}
