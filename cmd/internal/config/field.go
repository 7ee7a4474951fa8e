package config

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

// Secret is a value that is never printed.
type Secret string

// String masks the value.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "***"
}

// GoString masks the value under %#v too.
func (s Secret) GoString() string { return s.String() }

// MarshalJSON masks the value.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// Reveal gives the value to the one place that needs it.
func (s Secret) Reveal() string { return string(s) }

// Duration is a time.Duration written as in "1m30s".
type Duration struct{ time.Duration }

// UnmarshalJSON reads "1m30s".
func (d *Duration) UnmarshalJSON(raw []byte) error {
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return fmt.Errorf("want a duration such as \"30s\", got %s", raw)
	}
	return d.set(s)
}

// MarshalJSON writes "1m30s".
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

func (d *Duration) set(s string) error {
	v, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("want a duration such as 30s, got %q", s)
	}
	d.Duration = v
	return nil
}

// Seconds makes a Duration of n seconds.
func Seconds(n float64) Duration { return Duration{time.Duration(n * float64(time.Second))} }

// Field is one setting: a leaf of the configuration struct.
type Field struct {
	Key   string // dotted, as in the file
	value reflect.Value
}

// Fields lists the settings of a pointer to a configuration struct in order.
func Fields(of any) []Field { return walk("", reflect.ValueOf(of).Elem()) }

func walk(prefix string, v reflect.Value) []Field {
	var fields []Field
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		key, f := prefix+name, v.Field(i)
		if _, leaf := f.Addr().Interface().(*Duration); f.Kind() == reflect.Struct && !leaf {
			fields = append(fields, walk(key+".", f)...)
			continue
		}
		fields = append(fields, Field{Key: key, value: f})
	}
	return fields
}

// Set parses a value from the environment or a flag. Lists are separated by
// commas; maps and lists of objects are written as YAML.
func (f Field) Set(s string) error {
	if d, ok := f.value.Addr().Interface().(*Duration); ok {
		return d.set(s)
	}
	switch f.value.Kind() {
	case reflect.String:
		f.value.SetString(s)
	case reflect.Bool:
		b, err := strconv.ParseBool(s)
		if err != nil {
			return fmt.Errorf("want true or false, got %q", s)
		}
		f.value.SetBool(b)
	case reflect.Int, reflect.Int32, reflect.Int64:
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || f.value.OverflowInt(n) {
			return fmt.Errorf("want a whole number, got %q", s)
		}
		f.value.SetInt(n)
	case reflect.Float64:
		n, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return fmt.Errorf("want a number, got %q", s)
		}
		f.value.SetFloat(n)
	case reflect.Slice:
		return f.setSlice(s)
	default:
		if err := yaml.UnmarshalStrict([]byte(s), f.value.Addr().Interface()); err != nil {
			return fmt.Errorf("want YAML: %w", err)
		}
	}
	return nil
}

func (f Field) setSlice(s string) error {
	if f.value.Type().Elem().Kind() != reflect.String {
		if err := yaml.UnmarshalStrict([]byte(s), f.value.Addr().Interface()); err != nil {
			return fmt.Errorf("want a YAML list: %w", err)
		}
		return nil
	}
	list := reflect.MakeSlice(f.value.Type(), 0, 4)
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = reflect.Append(list, reflect.ValueOf(part).Convert(f.value.Type().Elem()))
		}
	}
	f.value.Set(list)
	return nil
}

// Secret reports whether the setting is never printed.
func (f Field) Secret() bool { return f.value.Type() == secretType }

// Print shows the effective configuration as YAML, secrets masked.
func Print(c any) (string, error) {
	out, err := yaml.Marshal(c)
	return string(out), err
}

// PrintEnv lists the environment variables that a configuration struct reads.
func PrintEnv(c any, prefix string) string {
	var b strings.Builder
	for _, f := range Fields(c) {
		fmt.Fprintf(&b, "%s%s\n", prefix, envName(f.Key))
	}
	return b.String()
}
