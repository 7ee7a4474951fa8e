package v1alpha1

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
)

// MaxPlainNodes is the size in bytes of the nodes' JSON above which a status or a
// recovery holds them compressed: an object of etcd has at most 1.5 MiB.
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
	nodes := map[string]NodeStatus{}
	if err := unpack(s.CompressedNodes, &nodes); err != nil {
		return nil, fmt.Errorf("read the status of nodes: %w", err)
	}
	return nodes, nil
}

// SetNodes puts nodes into a status, compressed if they are large. Once they
// were compressed they stay so.
func SetNodes(s *FlyteWorkflowStatus, nodes map[string]NodeStatus) error {
	packed, err := pack(nodes, len(s.CompressedNodes) > 0)
	if err != nil {
		return fmt.Errorf("write the status of nodes: %w", err)
	}
	if packed == nil {
		s.Nodes = nodes
		return nil
	}
	s.Nodes, s.CompressedNodes = nil, packed
	return nil
}

// RecoveredNodes gives the nodes of a recovery, whether they are compressed or
// not; of nil, none. They belong to the recovery: read them only.
func RecoveredNodes(r *Recovery) ([]RecoveredNode, error) {
	if r == nil {
		return nil, nil
	}
	if len(r.CompressedNodes) == 0 {
		return r.Nodes, nil
	}
	var nodes []RecoveredNode
	if err := unpack(r.CompressedNodes, &nodes); err != nil {
		return nil, fmt.Errorf("read what earlier epochs left: %w", err)
	}
	return nodes, nil
}

// NewRecovery holds nodes, compressed if they are large; of none it is nil.
func NewRecovery(nodes []RecoveredNode) (*Recovery, error) {
	if len(nodes) == 0 {
		return nil, nil
	}
	packed, err := pack(nodes, false)
	if err != nil {
		return nil, fmt.Errorf("write what earlier epochs left: %w", err)
	}
	if packed == nil {
		return &Recovery{Nodes: nodes}, nil
	}
	return &Recovery{CompressedNodes: packed}, nil
}

// pack gives the gzipped JSON of nodes, or nil if it is small and need not be.
func pack(nodes any, always bool) ([]byte, error) {
	plain, err := json.Marshal(nodes)
	if err != nil || len(plain) <= MaxPlainNodes && !always {
		return nil, err
	}
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(plain); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func unpack(packed []byte, nodes any) error {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return err
	}
	return json.NewDecoder(io.LimitReader(r, maxUnpacked)).Decode(nodes)
}
