package dataproxy

import (
	"context"
	"regexp"
	"strconv"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/api/flyteidl/service"
)

// maxAttempts bounds the search for an attempt by its number.
const maxAttempts = 1000

// CreateDownloadLocation signs a link for one object (deprecated in Flyte, and
// still called).
func (p *Proxy) CreateDownloadLocation(ctx context.Context, req *service.CreateDownloadLocationRequest) (*service.CreateDownloadLocationResponse, error) {
	if req.GetNativeUrl() == "" {
		return nil, fault.Field("native_url", "must be set")
	}
	expires, err := p.expiry(req.GetExpiresIn())
	if err != nil {
		return nil, err
	}
	key, err := p.existing(ctx, req.GetNativeUrl())
	if err != nil {
		return nil, err
	}
	link, err := p.getLink(ctx, key, expires)
	if err != nil {
		return nil, err
	}
	return &service.CreateDownloadLocationResponse{SignedUrl: link, ExpiresAt: timestamppb.New(expires)}, nil
}

// CreateDownloadLink signs a link for a node's deck (contract 9.3).
func (p *Proxy) CreateDownloadLink(ctx context.Context, req *service.CreateDownloadLinkRequest) (*service.CreateDownloadLinkResponse, error) {
	if req.GetArtifactType() != service.ArtifactType_ARTIFACT_TYPE_DECK {
		return nil, fault.Field("artifact_type", "must be ARTIFACT_TYPE_DECK, is %s", req.GetArtifactType())
	}
	if req.GetNodeExecutionId() == nil {
		return nil, fault.Field("node_execution_id", "must be set")
	}
	expires, err := p.expiry(req.GetExpiresIn())
	if err != nil {
		return nil, err
	}
	link, err := p.deck(ctx, req.GetNodeExecutionId(), expires)
	if err != nil {
		return nil, err
	}
	return &service.CreateDownloadLinkResponse{
		SignedUrl: link.GetSignedUrl(), ExpiresAt: link.GetExpiresAt(), PreSignedUrls: link, // old clients read it
	}, nil
}

func (p *Proxy) existing(ctx context.Context, uri string) (string, error) {
	key, err := p.keyOf(uri)
	if err != nil {
		return "", err
	}
	_, _, err = p.deps.Objects.Attributes(ctx, p.uri(key))
	return key, err
}

// GetData reads what a flyte:// address names (contract 9.4).
func (p *Proxy) GetData(ctx context.Context, req *service.GetDataRequest) (*service.GetDataResponse, error) {
	a, err := parseAddress(req.GetFlyteUrl())
	if err != nil {
		return nil, err
	}
	if a.kind == "d" {
		expires, err := p.expiry(nil)
		if err != nil {
			return nil, err
		}
		link, err := p.deck(ctx, a.node, expires)
		return &service.GetDataResponse{Data: &service.GetDataResponse_PreSignedUrls{PreSignedUrls: link}}, err
	}
	literals, err := p.literals(ctx, a)
	if err != nil {
		return nil, err
	}
	if a.variable == "" {
		return &service.GetDataResponse{Data: &service.GetDataResponse_LiteralMap{LiteralMap: literals}}, nil
	}
	literal, ok := literals.GetLiterals()[a.variable]
	if !ok {
		return nil, fault.E(fault.NotFound, "%s: there is no variable %q", req.GetFlyteUrl(), a.variable)
	}
	return &service.GetDataResponse{Data: &service.GetDataResponse_Literal{Literal: literal}}, nil
}

// address is a parsed flyte://v1/<project>/<domain>/<execution>/<node>
// [/<attempt>]/<i|o|d>[/<variable>].
type address struct {
	node     *core.NodeExecutionIdentifier
	attempt  *uint32
	kind     string
	variable string
}

// flyteAddress has the parts of an address; an attempt is a number, and a deck
// belongs to a node as a whole.
var flyteAddress = regexp.MustCompile(`^flyte://v1/([^/]+)/([^/]+)/([^/]+)/([^/]+)(?:/(d)|(?:/([0-9]{1,9}))?/([io])(?:/([^/]+))?)$`)

func parseAddress(s string) (address, error) {
	parts := flyteAddress.FindStringSubmatch(s)
	if parts == nil {
		return address{}, fault.Field("flyte_url", "%q is not of the form flyte://v1/project/domain/execution/node[/attempt]/i|o|d[/variable]", s)
	}
	a := address{
		node: &core.NodeExecutionIdentifier{NodeId: parts[4], ExecutionId: &core.WorkflowExecutionIdentifier{
			Project: parts[1], Domain: parts[2], Name: parts[3],
		}},
		kind:     parts[5] + parts[7], // one of them is empty
		variable: parts[8],
	}
	if n, err := strconv.ParseUint(parts[6], 10, 32); err == nil {
		attempt := uint32(n)
		a.attempt = &attempt
	}
	return a, nil
}

func (p *Proxy) literals(ctx context.Context, a address) (*core.LiteralMap, error) {
	if a.attempt == nil {
		data, err := p.deps.Data.GetNodeExecutionData(ctx, &admin.NodeExecutionGetDataRequest{Id: a.node})
		if a.kind == "i" {
			return data.GetFullInputs(), err
		}
		return data.GetFullOutputs(), err
	}
	list, err := p.deps.Data.ListTaskExecutions(ctx, &admin.TaskExecutionListRequest{NodeExecutionId: a.node, Limit: maxAttempts})
	if err != nil {
		return nil, err
	}
	var found *core.TaskExecutionIdentifier
	for _, t := range list.GetTaskExecutions() {
		if t.GetId().GetRetryAttempt() != *a.attempt {
			continue
		}
		if found != nil {
			return nil, fault.Field("flyte_url", "attempt %d of the node is not one task's alone", *a.attempt)
		}
		found = t.GetId()
	}
	if found == nil {
		return nil, fault.E(fault.NotFound, "the node has no attempt %d", *a.attempt)
	}
	data, err := p.deps.Data.GetTaskExecutionData(ctx, &admin.TaskExecutionGetDataRequest{Id: found})
	if a.kind == "i" {
		return data.GetFullInputs(), err
	}
	return data.GetFullOutputs(), err
}
