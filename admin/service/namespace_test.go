package service_test

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/skein-project/skein/admin/middleware"
	"github.com/skein-project/skein/api/flyteidl/admin"
)

// A project and a domain make a Kubernetes namespace. What would never fit one
// is refused where somebody can still rename it.
func TestAProjectTooLongForANamespaceIsRefused(t *testing.T) {
	r := newRig(t)
	project := strings.Repeat("p", 63)
	if _, err := r.Service.RegisterProject(t.Context(), &admin.ProjectRegisterRequest{Project: &admin.Project{Id: project, Name: "long"}}); err != nil {
		t.Fatal(err)
	}
	_, err := r.Service.CreateExecution(t.Context(), &admin.ExecutionCreateRequest{Project: project, Domain: "development", Name: "x", Spec: &admin.ExecutionSpec{}})
	if s := middleware.Status(err); s.Code() != codes.InvalidArgument || !strings.Contains(s.Message(), "namespace") {
		t.Errorf("answered %s %q", s.Code(), s.Message())
	}
}
