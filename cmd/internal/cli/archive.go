package cli

import (
	"bytes"
	"context"
	"crypto/md5"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/service"
	"github.com/skein-project/skein/cmd/internal/archive"
)

// uploadTime bounds the upload of packaged code.
const uploadTime = 10 * time.Minute

// archived is what "skein register --archive" asks for.
type archived struct {
	path, version, codeDir string
	activate               bool
}

// register registers what pyflyte has packaged, as flytectl register files.
func (a archived) register(cmd *cobra.Command, s *session) error {
	if a.version == "" {
		return fault.Field("--version", "must be set: an archive names none")
	}
	content, err := a.open(cmd.InOrStdin())
	if err != nil {
		return fault.Wrap(fault.Of(err), err, "--archive %s", a.path)
	}
	conn, err := s.config.DialFlyte()
	if err != nil {
		return err
	}
	defer conn.Close()
	to := archive.Target{Project: s.config.Project, Domain: s.config.Domain, Version: a.version, CodeDir: a.codeDir}
	r := registrar{out: s.progress(cmd), client: service.NewAdminServiceClient(conn)}
	if content.Code != nil {
		if to.CodeAt, err = upload(cmd.Context(), service.NewDataProxyServiceClient(conn), to, content.Code); err != nil {
			return err
		}
		fmt.Fprintf(r.out, "uploaded the code as %s\n", to.CodeAt)
	}
	requests, err := content.Requests(to)
	if err != nil {
		return fault.Wrap(fault.Of(err), err, "--archive %s", a.path)
	}
	for _, request := range requests {
		if err := r.create(cmd.Context(), request, a.activate); err != nil {
			return err
		}
	}
	if s.table() {
		return nil
	}
	return s.write(cmd.OutOrStdout(), r.did)
}

func (a archived) open(stdin io.Reader) (*archive.Archive, error) {
	if a.path == "-" {
		return archive.Read(stdin)
	}
	return archive.Open(a.path)
}

// create sends one request.
func (r *registrar) create(ctx context.Context, request proto.Message, activate bool) error {
	switch m := request.(type) {
	case *admin.TaskCreateRequest:
		_, err := r.client.CreateTask(ctx, m)
		return r.done("task", m.Id.Name, m.Id.Version, err)
	case *admin.WorkflowCreateRequest:
		_, err := r.client.CreateWorkflow(ctx, m)
		return r.done("workflow", m.Id.Name, m.Id.Version, err)
	case *admin.LaunchPlanCreateRequest:
		_, err := r.client.CreateLaunchPlan(ctx, m)
		if err := r.done("launch plan", m.Id.Name, m.Id.Version, err); err != nil || !activate {
			return err
		}
		_, err = r.client.UpdateLaunchPlan(ctx, &admin.LaunchPlanUpdateRequest{Id: m.Id, State: admin.LaunchPlanState_ACTIVE})
		return err
	}
	return fault.E(fault.Internal, "a request of type %T", request)
}

// upload puts the code where tasks can read it, and returns its address.
func upload(ctx context.Context, data service.DataProxyServiceClient, to archive.Target, code *archive.Code) (string, error) {
	sum := md5.Sum(code.Raw)
	place, err := data.CreateUploadLocation(ctx, &service.CreateUploadLocationRequest{
		Project: to.Project, Domain: to.Domain, Filename: code.Name, ContentMd5: sum[:],
	})
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, uploadTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, place.SignedUrl, bytes.NewReader(code.Raw))
	if err != nil {
		return "", err
	}
	for name, value := range place.Headers {
		request.Header.Set(name, value)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", fault.Wrap(fault.Unavailable, err, "upload of the code")
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK && answer.StatusCode != http.StatusCreated {
		why, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<10)) // without it, the status has to do
		return "", fault.E(fault.Unavailable, "upload of the code: %s: %s", answer.Status, strings.TrimSpace(string(why)))
	}
	return place.NativeUrl, nil
}
