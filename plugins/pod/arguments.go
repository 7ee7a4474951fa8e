package pod

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/plugins"
)

var variable = regexp.MustCompile(`\{\{\s*[.$]\s*([a-zA-Z0-9_]+(?:\.[a-zA-Z0-9_\-]+)*)\s*\}\}`)

// render fills in the template variables of contract 18.1. What is unknown is
// left as it is; an input that has no text is the task's failure.
func render(words []string, task plugins.Task) ([]string, error) {
	values := variables(task)
	out := make([]string, 0, len(words))
	for _, word := range words {
		var wrong error
		out = append(out, variable.ReplaceAllStringFunc(word, func(m string) string {
			name := variable.FindStringSubmatch(m)[1]
			if v, ok := values[strings.ToLower(name)]; ok {
				return v
			}
			prefix, input, _ := strings.Cut(name, ".")
			if !strings.EqualFold(prefix, "inputs") || input == "" {
				return m
			}
			text, err := inputText(task, input)
			if err != nil {
				wrong = err
			}
			return text
		}))
		if wrong != nil {
			return nil, bad("%s", wrong)
		}
	}
	return out, nil
}

func variables(task plugins.Task) map[string]string {
	folder := strings.TrimSuffix(task.InputsURI, "/inputs.pb")
	prev := task.PrevCheckpoint
	if prev == "" {
		prev = `""`
	}
	return map[string]string{
		"input": task.InputsURI, "inputprefix": folder,
		"outputprefix": task.OutputPrefix, "rawoutputdataprefix": task.RawPrefix,
		"checkpointoutputprefix": task.Checkpoint, "prevcheckpointprefix": prev,
		"perretryuniquekey": uniqueKey(task.Name), "tasktemplatepath": folder + "/task.pb",
		"namespace": task.Namespace,
	}
}

var notAlnum = regexp.MustCompile(`[^a-zA-Z0-9]`)

func uniqueKey(name string) string {
	key := notAlnum.ReplaceAllString(name, "_")
	if key != "" && key[0] >= '0' && key[0] <= '9' {
		key = "a" + key
	}
	return key
}

func inputText(task plugins.Task, name string) (string, error) {
	l, ok := task.Inputs.GetLiterals()[name]
	if !ok {
		return "", fmt.Errorf("the arguments name the input %q, which the task does not have", name)
	}
	return text(l)
}

// text is a literal as an argument shows it.
func text(l *core.Literal) (string, error) {
	switch v := l.GetValue().(type) {
	case *core.Literal_Collection:
		parts := make([]string, 0, len(v.Collection.GetLiterals()))
		for _, e := range v.Collection.GetLiterals() {
			s, err := text(e)
			if err != nil {
				return "", err
			}
			parts = append(parts, s)
		}
		return "[" + strings.Join(parts, ",") + "]", nil
	case *core.Literal_Scalar:
		return scalarText(v.Scalar)
	}
	return "", fmt.Errorf("an input of this kind has no text")
}

func scalarText(s *core.Scalar) (string, error) {
	switch v := s.GetValue().(type) {
	case *core.Scalar_Primitive:
		return PrimitiveText(v.Primitive), nil
	case *core.Scalar_Blob:
		return v.Blob.GetUri(), nil
	case *core.Scalar_Schema:
		return v.Schema.GetUri(), nil
	case *core.Scalar_StructuredDataset:
		return v.StructuredDataset.GetUri(), nil
	case *core.Scalar_Union:
		return text(v.Union.GetValue())
	case *core.Scalar_Binary:
		return string(v.Binary.GetValue()), nil
	case *core.Scalar_NoneType:
		return "", nil
	}
	return "", fmt.Errorf("an input of this kind has no text")
}

// PrimitiveText is a primitive as arguments and files show it.
func PrimitiveText(p *core.Primitive) string {
	switch v := p.GetValue().(type) {
	case *core.Primitive_Integer:
		return strconv.FormatInt(v.Integer, 10)
	case *core.Primitive_FloatValue:
		return strconv.FormatFloat(v.FloatValue, 'f', -1, 64)
	case *core.Primitive_StringValue:
		return v.StringValue
	case *core.Primitive_Boolean:
		return strconv.FormatBool(v.Boolean)
	case *core.Primitive_Datetime:
		return v.Datetime.AsTime().Format(time.RFC3339Nano)
	case *core.Primitive_Duration:
		return v.Duration.AsDuration().String()
	}
	return ""
}
