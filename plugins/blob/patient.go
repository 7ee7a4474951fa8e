package blob

import (
	"context"
	"time"

	"github.com/skein-project/skein/api/fault"
)

// Requests are what is asked of an object store in one go.
type Requests interface {
	Read(ctx context.Context, uri string) ([]byte, error)
	Write(ctx context.Context, uri string, data []byte) error
	Exists(ctx context.Context, uri string) (bool, error)
}

// Within bounds each request: one that hangs is fault.Unavailable, and holds up
// neither a caller that has all the time nor a worker that others wait for.
// What the caller's own context ends keeps its error.
func Within(limit time.Duration, r Requests) Requests { return patient{r, limit} }

type patient struct {
	requests Requests
	limit    time.Duration
}

func (p patient) Read(ctx context.Context, uri string) (data []byte, err error) {
	err = p.within(ctx, func(ctx context.Context) error {
		data, err = p.requests.Read(ctx, uri)
		return err
	})
	return data, err
}

func (p patient) Write(ctx context.Context, uri string, data []byte) error {
	return p.within(ctx, func(ctx context.Context) error { return p.requests.Write(ctx, uri, data) })
}

func (p patient) Exists(ctx context.Context, uri string) (there bool, err error) {
	err = p.within(ctx, func(ctx context.Context) error {
		there, err = p.requests.Exists(ctx, uri)
		return err
	})
	return there, err
}

func (p patient) within(ctx context.Context, request func(context.Context) error) error {
	bounded, cancel := context.WithTimeout(ctx, p.limit)
	defer cancel()
	err := request(bounded)
	if err != nil && bounded.Err() != nil && ctx.Err() == nil {
		return fault.Wrap(fault.Unavailable, err, "the object store did not answer within %s; try again", p.limit)
	}
	return err
}
