package service

import (
	"context"
	"strings"
	"unicode"

	"github.com/google/uuid"
	"google.golang.org/grpc/metadata"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
)

// OperatorHeader is the metadata key in which a client says who its operator is.
// All operators hold one credential, so it is their word, and is kept as such.
const OperatorHeader = "skein-operator"

// The limits of ListAudit, and of what one line keeps of a caller's text.
const (
	defaultAuditLines = 100
	maxAuditLines     = 1000
	maxAuditText      = 256
)

// operator names the caller for the audit: "operator", and the name that its
// client gave.
func operator(ctx context.Context) string {
	names := metadata.ValueFromIncomingContext(ctx, OperatorHeader)
	if len(names) == 0 || names[0] == "" {
		return "operator"
	}
	return "operator " + kept(names[0])
}

// kept is a caller's text as one short printable line.
func kept(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > maxAuditText {
		s = validPrefix(s, maxAuditText) + "…"
	}
	return s
}

// audit makes a line of what this caller does.
func (s *Service) audit(ctx context.Context, action, subject, detail string) flow.Audit {
	return flow.Audit{ID: uuid.NewString(), At: s.now(), Actor: operator(ctx), Action: action, Subject: kept(subject), Detail: detail}
}

// record writes the line of something that was done outside a transaction of
// ours.
func (s *Service) record(ctx context.Context, action, subject, detail string) error {
	return s.deps.Audits.WriteAudit(ctx, s.audit(ctx, action, subject, detail))
}

// refused writes that a mutating call was refused, and gives its error back.
// That the line cannot be written is no other failure: it is logged.
func (s *Service) refused(ctx context.Context, action, subject string, err error) error {
	if err == nil {
		return nil
	}
	a := s.audit(ctx, action+".refused", subject, kept(public(err)))
	if failed := s.deps.Audits.WriteAudit(context.WithoutCancel(ctx), a); failed != nil {
		s.deps.Log.WarnContext(ctx, "a refusal was not audited", "action", a.Action, "subject", a.Subject, "error", failed)
	}
	return err
}

// ListAudit lists what was done to the fleet, newest first.
func (c clusterServer) ListAudit(ctx context.Context, req *skeinv1.ListAuditRequest) (*skeinv1.ListAuditResponse, error) {
	if err := optional("subject", req.GetSubject()); err != nil {
		return nil, err
	}
	limit := int(req.GetLimit())
	if limit < 0 || limit > maxAuditLines {
		return nil, fault.Field("limit", "must lie between 0 and %d, is %d", maxAuditLines, limit)
	}
	if limit == 0 {
		limit = defaultAuditLines
	}
	before, err := instant("before", req.GetBefore())
	if err != nil {
		return nil, err
	}
	lines, err := c.s.deps.Audits.ListAudit(ctx, req.GetSubject(), before, limit)
	out := &skeinv1.ListAuditResponse{}
	for _, a := range lines {
		out.Lines = append(out.Lines, &skeinv1.AuditLine{At: timestamp(a.At), Actor: a.Actor, Action: a.Action, Subject: a.Subject, Detail: a.Detail})
	}
	return out, err
}
