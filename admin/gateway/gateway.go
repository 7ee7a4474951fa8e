// Package gateway is the HTTP face of the control plane: Flyte's REST API, as
// JSON and as raw protobuf, and the signed links of dataproxy.
//
// It translates and holds no rule: every API call goes through a gRPC
// connection to the same server, so that it passes the same interceptors. It
// serves no console and no login.
//
// Invariant: an HTTP call can do nothing that the same gRPC call could not.
package gateway

import (
	"context"
	"net/http"
	"net/textproto"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"

	"github.com/skein-project/skein/admin/dataproxy"
	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flyteidl/service"
)

// MaxBody bounds the body of one API call, as gRPC messages are bounded.
const MaxBody = 20 << 20

// New makes the handler. conn leads to the control plane's own gRPC server;
// links serves what lies below dataproxy.Prefix; pages of origins may call
// ("*": of any).
func New(ctx context.Context, conn grpc.ClientConnInterface, links http.Handler, origins []string) (http.Handler, error) {
	api, err := newAPI(ctx, conn)
	if err != nil {
		return nil, err
	}
	api, description := http.MaxBytesHandler(liberal(api), MaxBody), openAPI()
	// The paths are looked at here: http.ServeMux would rewrite those of names such as "..".
	return cors(origins, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.Path; {
		case strings.HasPrefix(path, dataproxy.Prefix):
			links.ServeHTTP(w, r)
		case path == "/healthcheck":
			w.WriteHeader(http.StatusOK)
		case path == "/api/v1/openapi":
			description(w, r)
		default:
			api.ServeHTTP(w, r)
		}
	})), nil
}

func newAPI(ctx context.Context, conn grpc.ClientConnInterface) (http.Handler, error) {
	mux := runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, newJSON()),
		// The console speaks raw protobuf.
		runtime.WithMarshalerOption(octets, octetBodies{&runtime.ProtoMarshaller{}}),
		// Names are free text; one with a slash can be read over gRPC only.
		runtime.WithUnescapingMode(runtime.UnescapingModeAllExceptSlash),
		runtime.WithIncomingHeaderMatcher(incoming),
	)
	for _, register := range []func() error{
		func() error {
			return service.RegisterAdminServiceHandlerClient(ctx, mux, service.NewAdminServiceClient(conn))
		},
		func() error {
			return service.RegisterDataProxyServiceHandlerClient(ctx, mux, service.NewDataProxyServiceClient(conn))
		},
		func() error {
			return service.RegisterSignalServiceHandlerClient(ctx, mux, service.NewSignalServiceClient(conn))
		},
		// With authentication off these two are not served, and answer 501.
		func() error {
			return service.RegisterAuthMetadataServiceHandlerClient(ctx, mux, service.NewAuthMetadataServiceClient(conn))
		},
		func() error {
			return service.RegisterIdentityServiceHandlerClient(ctx, mux, service.NewIdentityServiceClient(conn))
		},
	} {
		if err := register(); err != nil {
			return nil, fault.Wrap(fault.Internal, err, "register the REST API")
		}
	}
	return readable(mux), nil
}

// incoming passes on the request's id, trace and credential besides the usual headers.
func incoming(key string) (string, bool) {
	switch textproto.CanonicalMIMEHeaderKey(key) {
	case "X-Request-Id":
		return "x-request-id", true
	case "Traceparent":
		return "traceparent", true
	case "Tracestate":
		return "tracestate", true
	case "Flyte-Authorization": // what clients use where a proxy takes Authorization for itself
		return "flyte-authorization", true
	}
	return runtime.DefaultHeaderMatcher(key)
}
