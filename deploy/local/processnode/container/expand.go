package container

import "strings"

// expand replaces $(NAME) as Kubernetes does: an unknown name stays as written,
// and $$ stands for one dollar sign that begins no reference.
func expand(text string, value func(string) (string, bool)) string {
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '$' || i+1 == len(text) {
			out.WriteByte(text[i])
			continue
		}
		switch text[i+1] {
		case '$':
			out.WriteByte('$')
			i++
		case '(':
			i += reference(&out, text[i:], value)
		default:
			out.WriteByte('$')
		}
	}
	return out.String()
}

// reference writes what the reference at the start of text stands for, and
// returns how many bytes of it beyond the first are used up.
func reference(out *strings.Builder, text string, value func(string) (string, bool)) int {
	end := strings.IndexByte(text, ')')
	if end < 0 {
		out.WriteString("$(")
		return 1
	}
	if v, ok := value(text[2:end]); ok {
		out.WriteString(v)
	} else {
		out.WriteString(text[:end+1])
	}
	return end
}
