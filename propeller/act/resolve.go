package act

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/propeller/workflow"
)

// reader resolves bindings; it reads each file once.
type reader struct {
	blobs Blobs
	mu    sync.Mutex
	files map[string]func() (*core.LiteralMap, error)
}

// inputs resolves all bindings of a node into the message that inputs.pb
// holds. A *workflow.Failure says that they can never be resolved.
func (r *reader) inputs(ctx context.Context, in workflow.Inputs) (*core.LiteralMap, []byte, error) {
	out := &core.LiteralMap{Literals: make(map[string]*core.Literal, len(in.Bindings))}
	for _, b := range in.Bindings {
		want := in.Declared[b.GetVar()].GetType()
		v, err := r.data(ctx, in, b.GetBinding(), want)
		if err == nil && in.Compared {
			v, err = r.comparable(ctx, v, want)
		}
		if err != nil {
			return nil, nil, unresolved(b.GetVar(), err)
		}
		out.Literals[b.GetVar()] = v
	}
	for name, v := range in.Declared {
		if in.Err != nil && takes(v.GetType(), core.SimpleType_ERROR) {
			out.Literals[name] = errorLiteral(v.GetType(), in.Err)
		} else if out.Literals[name] == nil && takes(v.GetType(), core.SimpleType_NONE) && v.GetType().GetUnionType() != nil {
			out.Literals[name] = none(v.GetType())
		}
	}
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(out)
	if err != nil {
		return nil, nil, &workflow.Failure{Code: "InputsBadFormat", Message: err.Error()}
	}
	return out, data, nil
}

// unresolved says of which input an error is. A Failure is told without what
// wraps it, and may be shared by all that read the same file.
func unresolved(input string, err error) error {
	var f *workflow.Failure
	if !errors.As(err, &f) {
		return fmt.Errorf("resolve input %s: %w", input, err)
	}
	named := *f
	named.Message = fmt.Sprintf("resolve %s: %s", input, f.Message)
	return &named
}

func (r *reader) data(ctx context.Context, in workflow.Inputs, b *core.BindingData, want *core.LiteralType) (*core.Literal, error) {
	switch v := b.GetValue().(type) {
	case *core.BindingData_Scalar:
		return &core.Literal{Value: &core.Literal_Scalar{Scalar: v.Scalar}}, nil
	case *core.BindingData_Promise:
		return r.promise(ctx, in, v.Promise, want)
	case *core.BindingData_OffloadedMetadata:
		return &core.Literal{Value: &core.Literal_OffloadedMetadata{OffloadedMetadata: v.OffloadedMetadata}}, nil
	case *core.BindingData_Collection:
		list := &core.LiteralCollection{}
		for _, e := range v.Collection.GetBindings() {
			l, err := r.data(ctx, in, e, want.GetCollectionType())
			if err != nil {
				return nil, err
			}
			list.Literals = append(list.Literals, l)
		}
		return &core.Literal{Value: &core.Literal_Collection{Collection: list}}, nil
	case *core.BindingData_Map:
		m := &core.LiteralMap{Literals: map[string]*core.Literal{}}
		for k, e := range v.Map.GetBindings() {
			l, err := r.data(ctx, in, e, want.GetMapValueType())
			if err != nil {
				return nil, err
			}
			m.Literals[k] = l
		}
		return &core.Literal{Value: &core.Literal_Map{Map: m}}, nil
	}
	return nil, &workflow.Failure{Code: "InvalidBinding", Message: "an input is bound to nothing"}
}

func (r *reader) promise(ctx context.Context, in workflow.Inputs, p *core.OutputReference, want *core.LiteralType) (*core.Literal, error) {
	id := p.GetNodeId()
	if id == "" {
		id = workflow.StartNode
	}
	src, ok := in.Sources[id]
	if !ok || src.URI == "" {
		return nil, &workflow.Failure{Code: "PromiseResolveError", Message: fmt.Sprintf("node %s has no outputs", id)}
	}
	outputs, err := r.outputs(ctx, src.URI)
	if err != nil {
		return nil, err
	}
	name := p.GetVar()
	l, ok := outputs.GetLiterals()[name]
	if !ok {
		l, ok = outputs.GetLiterals()[src.Aliases[name]]
	}
	if !ok {
		return nil, &workflow.Failure{Code: "PromiseResolveError", Message: fmt.Sprintf("node %s has no output %s", id, name)}
	}
	if len(p.GetAttrPath()) == 0 {
		return l, nil
	}
	return r.attribute(ctx, l, p.GetAttrPath(), want)
}

// outputs reads a file once, for all that wait for it.
func (r *reader) outputs(ctx context.Context, uri string) (*core.LiteralMap, error) {
	r.mu.Lock()
	if r.files == nil {
		r.files = map[string]func() (*core.LiteralMap, error){}
	}
	f := r.files[uri]
	if f == nil {
		f = sync.OnceValues(func() (*core.LiteralMap, error) { return r.file(ctx, uri) })
		r.files[uri] = f
	}
	r.mu.Unlock()
	return f()
}

// takes reports whether a type is, or is a union with, a simple type.
func takes(t *core.LiteralType, s core.SimpleType) bool { return variant(t, s) != nil }

// variant is the simple type within a type, as it is declared there: with the
// tag by which flytekit knows the variants of a union; nil if there is none.
func variant(t *core.LiteralType, s core.SimpleType) *core.LiteralType {
	if v, ok := t.GetType().(*core.LiteralType_Simple); ok && v.Simple == s {
		return t
	}
	for _, v := range t.GetUnionType().GetVariants() {
		if found := variant(v, s); found != nil {
			return found
		}
	}
	return nil
}

func scalar(s *core.Scalar) *core.Literal {
	return &core.Literal{Value: &core.Literal_Scalar{Scalar: s}}
}

func union(l *core.Literal, t *core.LiteralType) *core.Literal {
	return scalar(&core.Scalar{Value: &core.Scalar_Union{Union: &core.Union{Value: l, Type: t}}})
}

// none is what an optional input gets that nothing was given to.
func none(t *core.LiteralType) *core.Literal {
	return union(scalar(&core.Scalar{Value: &core.Scalar_NoneType{NoneType: &core.Void{}}}), variant(t, core.SimpleType_NONE))
}

// errorLiteral is what a failure node gets as "err".
func errorLiteral(t *core.LiteralType, e *core.Error) *core.Literal {
	l := scalar(&core.Scalar{Value: &core.Scalar_Error{Error: e}})
	if t.GetUnionType() == nil {
		return l
	}
	return union(l, variant(t, core.SimpleType_ERROR))
}
