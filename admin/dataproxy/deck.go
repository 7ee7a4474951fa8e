package dataproxy

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/api/flyteidl/service"
)

// deck signs a link for the page that a node's task made.
func (p *Proxy) deck(ctx context.Context, id *core.NodeExecutionIdentifier, expires time.Time) (*service.PreSignedURLs, error) {
	node, err := p.deps.Data.GetNodeExecution(ctx, &admin.NodeExecutionGetRequest{Id: id})
	if err != nil {
		return nil, err
	}
	uri := node.GetClosure().GetDeckUri()
	if uri == "" {
		return nil, fault.E(fault.NotFound, "node %s of execution %s has no deck", id.GetNodeId(), id.GetExecutionId().GetName())
	}
	key, err := p.existing(ctx, uri)
	if err != nil {
		return nil, err
	}
	link, err := p.getLink(ctx, key, expires)
	if err != nil {
		return nil, err
	}
	return &service.PreSignedURLs{SignedUrl: []string{link}, ExpiresAt: timestamppb.New(expires)}, nil
}
