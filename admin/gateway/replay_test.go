package gateway_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// step is one request of a file in testdata and what must come back:
//
//	GET /api/v1/projects?limit=100
//	{"its": "body"}
//	-> 200
//	{"part": "of the answer"}
//
// An RPC stands as "rpc AdminService/ListProjects", and its code by name. Steps
// are parted by an empty line; lines that begin with # say whose request it is.
// Bodies are JSON here and protobuf on the wire, as both clients send them.
type step struct{ verb, target, body, code, want string }

// TestReplay sends what flytectl and the console send, each file to a world of
// its own.
func TestReplay(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("files %v, %v", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			w := newWorld(t)
			w.seed(t)
			for _, s := range steps(t, string(text)) {
				t.Logf("%s %s", s.verb, s.target)
				code, answer := w.replay(t, s)
				if code != s.code {
					t.Errorf("%s %s: %s %s, want %s", s.verb, s.target, code, answer, s.code)
				} else if problem := missing("answer", decoded(t, s.want), decoded(t, answer)); problem != "" {
					t.Errorf("%s %s: %s\n%s", s.verb, s.target, problem, answer)
				}
			}
		})
	}
}

func steps(t *testing.T, text string) []step {
	t.Helper()
	var list []step
	for _, block := range strings.Split(text, "\n\n") {
		var s step
		into := &s.body
		for _, line := range strings.Split(block, "\n") {
			switch {
			case line == "" || line[0] == '#':
			case s.verb == "":
				s.verb, s.target, _ = strings.Cut(line, " ")
			case strings.HasPrefix(line, "-> "):
				s.code, into = line[3:], &s.want
			default:
				*into += line
			}
		}
		if s.verb != "" {
			if s.code == "" {
				t.Fatalf("%q says not what it wants", block)
			}
			list = append(list, s)
		}
	}
	return list
}

func (w *world) replay(t *testing.T, s step) (code, answer string) {
	t.Helper()
	method := methodOf(t, s)
	kind, err := protoregistry.GlobalTypes.FindMessageByName(method.Input().FullName())
	if err != nil {
		t.Fatal(err)
	}
	in, out := kind.New().Interface(), outputOf(t, method)
	if s.body != "" {
		if err := protojson.Unmarshal([]byte(s.body), in); err != nil {
			t.Fatalf("%s: %v", s.target, err)
		}
	}
	if s.verb == "rpc" {
		err := w.conn.Invoke(t.Context(), fmt.Sprintf("/%s/%s", method.Parent().FullName(), method.Name()), in, out)
		if err != nil {
			return status.Code(err).String(), fmt.Sprintf(`{"message": %q}`, status.Convert(err).Message())
		}
		return "OK", inJSON(t, out)
	}
	body := ""
	if s.verb != http.MethodGet {
		data, err := proto.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		body = string(data)
	}
	resp, data := w.ask(t, s.verb, s.target, body, "Accept", octetStream, "Content-Type", octetStream, "Origin", "http://console.example")
	if resp.StatusCode != http.StatusOK {
		st := status.New(0, "").Proto()
		out = st
	}
	if err := proto.Unmarshal([]byte(data), out); err != nil {
		t.Fatalf("%s: %d %q: %v", s.target, resp.StatusCode, data, err)
	}
	return strconv.Itoa(resp.StatusCode), inJSON(t, out)
}

// methodOf finds the RPC that a step calls.
func methodOf(t *testing.T, s step) protoreflect.MethodDescriptor {
	t.Helper()
	if s.verb == "rpc" {
		d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName("flyteidl.service." + strings.ReplaceAll(s.target, "/", ".")))
		if err != nil {
			t.Fatalf("%s: %v", s.target, err)
		}
		return d.(protoreflect.MethodDescriptor)
	}
	path, _, _ := strings.Cut(s.target, "?")
	for rpc, all := range bindingsOf(t) {
		for _, b := range all {
			pattern := "^" + placeholder.ReplaceAllString(b.Path, "[^/]+") + "$"
			if b.Verb == s.verb && regexp.MustCompile(pattern).MatchString(path) {
				return methodOf(t, step{verb: "rpc", target: strings.TrimPrefix(string(rpc), "flyteidl.service.")})
			}
		}
	}
	t.Fatalf("%s %s is no path of ours", s.verb, s.target)
	return nil
}

func inJSON(t *testing.T, m proto.Message) string {
	t.Helper()
	data, err := protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func decoded(t *testing.T, text string) any {
	t.Helper()
	if text == "" {
		return map[string]any{}
	}
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

// missing says what of want is not in got: members of objects, elements of
// lists in their order and number, and texts as a part; "*" is anything.
func missing(at string, want, got any) string {
	switch want := want.(type) {
	case map[string]any:
		object, ok := got.(map[string]any)
		for name, w := range want {
			if g, there := object[name]; !ok || !there {
				return fmt.Sprintf("%s has no %s", at, name)
			} else if problem := missing(at+"."+name, w, g); problem != "" {
				return problem
			}
		}
	case []any:
		list, _ := got.([]any)
		if len(list) != len(want) {
			return fmt.Sprintf("%s has %d elements, want %d", at, len(list), len(want))
		}
		for i := range want {
			if problem := missing(fmt.Sprintf("%s[%d]", at, i), want[i], list[i]); problem != "" {
				return problem
			}
		}
	case string:
		text, ok := got.(string)
		if want == "*" && got != nil {
			return ""
		}
		if !ok || !strings.Contains(text, want) || want == "" && text != "" {
			return fmt.Sprintf("%s is %v, want %q", at, got, want)
		}
	default:
		if want != got {
			return fmt.Sprintf("%s is %v, want %v", at, got, want)
		}
	}
	return ""
}
