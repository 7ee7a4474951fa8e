package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"
)

// octets is the type of bodies that are raw protobuf, which the console speaks.
const octets = "application/octet-stream"

// jsonBodies writes messages as Flyte does: names of the .proto files, defaults
// included. Errors have their message twice, as "message" and as "error": old
// clients read the latter.
type jsonBodies struct{ runtime.JSONPb }

func newJSON() *jsonBodies {
	return &jsonBodies{runtime.JSONPb{
		MarshalOptions:   protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true},
		UnmarshalOptions: protojson.UnmarshalOptions{DiscardUnknown: true},
	}}
}

// NewDecoder reads bodies, and says what is wrong with one.
func (j *jsonBodies) NewDecoder(r io.Reader) runtime.Decoder {
	return decoder("JSON", j.JSONPb.NewDecoder(r))
}

// octetBodies reads and writes raw protobuf.
type octetBodies struct{ *runtime.ProtoMarshaller }

// NewDecoder reads bodies, and says what is wrong with one.
func (o octetBodies) NewDecoder(r io.Reader) runtime.Decoder {
	return decoder("protobuf", o.ProtoMarshaller.NewDecoder(r))
}

func decoder(kind string, inner runtime.Decoder) runtime.Decoder {
	return runtime.DecoderFunc(func(into any) error {
		err := inner.Decode(into)
		var large *http.MaxBytesError
		switch {
		case err == nil || errors.Is(err, io.EOF):
			return err
		case errors.As(err, &large):
			return fmt.Errorf("body: is larger than %d bytes, the most that is taken", large.Limit)
		}
		return fmt.Errorf("body: is not the %s of this call, which GET /api/v1/openapi describes: %w", kind, err)
	})
}

// errorBody is google.rpc.Status, of which no package of ours needs to know more.
type errorBody interface {
	GetCode() int32
	GetMessage() string
	GetDetails() []*anypb.Any
}

// Marshal writes a message or an error.
func (j *jsonBodies) Marshal(v any) ([]byte, error) {
	body, err := j.JSONPb.Marshal(v)
	st, ok := v.(errorBody)
	if !ok {
		return body, err
	}
	if err != nil { // a detail of a type that is not linked
		if body, err = j.JSONPb.Marshal(status.New(codes.Code(uint32(st.GetCode())), st.GetMessage()).Proto()); err != nil {
			return nil, err
		}
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return nil, err
	}
	fields["error"] = fields["message"]
	return json.Marshal(fields)
}
