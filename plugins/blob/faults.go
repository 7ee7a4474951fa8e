package blob

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/skein-project/skein/api/fault"
)

// answers says what the error codes of S3 servers mean to a caller. What is
// not here goes by the HTTP status; without an answer it is Unavailable.
var answers = map[string]struct {
	kind fault.Kind
	text string
}{
	"NoSuchKey":             {fault.NotFound, "no object %s"},
	"NotFound":              {fault.NotFound, "no object %s"},
	"PreconditionFailed":    {fault.Conflict, "object %s exists already"},
	"NoSuchBucket":          {fault.Precondition, "the object store's bucket does not exist: %s"},
	"KeyTooLongError":       {fault.Invalid, "the name is too long: %s"},
	"EntityTooLarge":        {fault.Exhausted, "the object store takes no object of this size: %s"},
	"QuotaExceeded":         {fault.Exhausted, "the object store is full: %s"},
	"NoSpaceLeftOnDevice":   {fault.Exhausted, "the object store is full: %s"},
	"XMinioStorageFull":     {fault.Exhausted, "the object store is full: %s"},
	"AccessDenied":          {fault.Forbidden, "the object store refuses our credentials for %s"},
	"Forbidden":             {fault.Forbidden, "the object store refuses our credentials for %s"},
	"InvalidAccessKeyId":    {fault.Forbidden, "the object store does not know our access key: %s"},
	"XAdminUserNotFound":    {fault.Forbidden, "the object store does not know our access key: %s"}, // versitygw
	"SignatureDoesNotMatch": {fault.Forbidden, "the object store does not take our secret key: %s"},
	"ExpiredToken":          {fault.Unavailable, "our credentials for the object store have run out: %s"},
}

// statuses are those of answers that name no code.
var statuses = map[int]string{
	http.StatusNotFound: "NotFound", http.StatusForbidden: "AccessDenied", http.StatusUnauthorized: "AccessDenied",
	http.StatusPreconditionFailed: "PreconditionFailed", http.StatusInsufficientStorage: "QuotaExceeded",
	http.StatusRequestEntityTooLarge: "EntityTooLarge",
}

// fault classifies an error of the S3 client. The caller's own context comes
// first: a deadline of ours looks just like one of its.
func (b *bucket) fault(ctx context.Context, err error, uri string) error {
	var known *fault.Error
	if errors.As(err, &known) {
		return err
	}
	if ctx.Err() != nil {
		return fmt.Errorf("object %s: %w", uri, ctx.Err())
	}
	var api smithy.APIError
	var response *awshttp.ResponseError
	status := 0
	if errors.As(err, &response) {
		status = response.HTTPStatusCode()
	}
	code := statuses[status]
	if errors.As(err, &api) && api.ErrorCode() != "" {
		code = api.ErrorCode()
	}
	answer, ok := answers[code]
	switch {
	case !ok && status >= 400 && status < 500 && status != http.StatusTooManyRequests && status != http.StatusRequestTimeout:
		return fault.Wrap(fault.Internal, err, "the object store refuses a request for %s", uri)
	case !ok:
		return fault.Wrap(fault.Unavailable, err, "the object store cannot be reached: %s", b)
	case answer.kind == fault.NotFound || answer.kind == fault.Conflict:
		return fault.E(answer.kind, answer.text, uri)
	}
	return fault.Wrap(answer.kind, err, answer.text, uri)
}
