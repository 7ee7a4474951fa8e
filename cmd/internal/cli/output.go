package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"sigs.k8s.io/yaml"
)

// print writes a message as JSON or YAML, or calls table for people.
func (s *session) print(w io.Writer, m proto.Message, table func(io.Writer) error) error {
	if s.table() {
		return table(w)
	}
	raw, err := encode(m)
	if err != nil {
		return err
	}
	return s.write(w, raw)
}

func (s *session) table() bool { return s.output != "json" && s.output != "yaml" }

// progress is where a command tells what goes on: not among JSON or YAML.
func (s *session) progress(cmd *cobra.Command) io.Writer {
	if s.table() {
		return cmd.OutOrStdout()
	}
	return cmd.ErrOrStderr()
}

func encode(m proto.Message) (json.RawMessage, error) {
	return protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
}

// write prints a value as JSON or YAML. protojson varies its white space on
// purpose; here the same value is always the same text.
func (s *session) write(w io.Writer, value any) error {
	var raw bytes.Buffer
	enc := json.NewEncoder(&raw)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(value); err != nil {
		return err
	}
	out := raw.Bytes()
	if s.output == "yaml" {
		var err error
		if out, err = yaml.JSONToYAML(out); err != nil {
			return err
		}
	}
	_, err := w.Write(out)
	return err
}

// rows writes aligned columns; the first row is the heading, in which "_" is
// a column without a name.
func rows(w io.Writer, heading string, lines [][]string) error {
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(tw, strings.NewReplacer(" ", "\t", "_", "").Replace(heading))
	for _, line := range lines {
		fmt.Fprintln(tw, strings.Join(line, "\t"))
	}
	return tw.Flush()
}
