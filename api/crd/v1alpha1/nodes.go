package v1alpha1

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
)

// MaxPlainNodes is the size in bytes of the nodes' JSON above which a status
// holds them compressed: an object of etcd has at most 1.5 MiB.
const MaxPlainNodes = 256 << 10

// maxUnpacked bounds the nodes' JSON, in bytes: an object that claims more was
// not written by us.
const maxUnpacked = 64 << 20

// Nodes gives the nodes of a status, whether they are compressed or not. The
// map belongs to the status if they are not: read it only.
func Nodes(s *FlyteWorkflowStatus) (map[string]NodeStatus, error) {
	if len(s.CompressedNodes) == 0 {
		return s.Nodes, nil
	}
	r, err := gzip.NewReader(bytes.NewReader(s.CompressedNodes))
	if err != nil {
		return nil, fmt.Errorf("decompress the status of nodes: %w", err)
	}
	nodes := map[string]NodeStatus{}
	if err := json.NewDecoder(io.LimitReader(r, maxUnpacked)).Decode(&nodes); err != nil {
		return nil, fmt.Errorf("read the status of nodes: %w", err)
	}
	return nodes, nil
}

// SetNodes puts nodes into a status, compressed if they are large. Once they
// were compressed they stay so.
func SetNodes(s *FlyteWorkflowStatus, nodes map[string]NodeStatus) error {
	plain, err := json.Marshal(nodes)
	if err != nil {
		return fmt.Errorf("write the status of nodes: %w", err)
	}
	if len(plain) <= MaxPlainNodes && len(s.CompressedNodes) == 0 {
		s.Nodes = nodes
		return nil
	}
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		return err
	}
	if _, err := w.Write(plain); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	s.Nodes, s.CompressedNodes = nil, b.Bytes()
	return nil
}
