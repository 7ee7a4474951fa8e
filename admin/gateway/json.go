package gateway

import (
	"encoding/json"

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
