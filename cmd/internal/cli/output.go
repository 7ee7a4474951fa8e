package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"sigs.k8s.io/yaml"
)

// print writes a message as JSON or YAML, or calls table for people.
func (s *session) print(w io.Writer, m proto.Message, table func(io.Writer) error) error {
	switch s.output {
	case "json", "yaml":
		raw, err := protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: false, Multiline: true}.Marshal(m)
		if err != nil {
			return err
		}
		if s.output == "yaml" {
			if raw, err = yaml.JSONToYAML(raw); err != nil {
				return err
			}
		}
		_, err = fmt.Fprintln(w, strings.TrimRight(string(raw), "\n"))
		return err
	}
	return table(w)
}

// rows writes aligned columns; the first row is the heading.
func rows(w io.Writer, heading string, lines [][]string) error {
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(tw, strings.ReplaceAll(heading, " ", "\t"))
	for _, line := range lines {
		fmt.Fprintln(tw, strings.Join(line, "\t"))
	}
	return tw.Flush()
}
