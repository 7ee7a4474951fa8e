package blob

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"

	"github.com/skein-project/skein/api/fault"
)

// How long a bucket's server is given. All tries of one request end within
// three times the timeout and a few seconds.
const (
	// DefaultTimeout is how long a server may be silent within one try.
	DefaultTimeout = 10 * time.Second

	dialTimeout = 3 * time.Second
	tries       = 3
	maxBackoff  = time.Second
)

// defaultRegion is what servers that know no regions sign for.
const defaultRegion = "us-east-1"

// dial makes a client. It contacts nobody: credentials are looked for when they
// are needed first.
func dial(ctx context.Context, cfg S3) (*s3.Client, aws.RequestChecksumCalculation, error) {
	for field, v := range map[string]string{"objectStore.endpoint": cfg.Endpoint, "flyte.publicStoreURL": cfg.PublicEndpoint} {
		if u, err := url.Parse(v); v != "" && (err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https")) {
			return nil, 0, fault.Field(field, "%q is not an http(s) URL", v)
		}
	}
	c, err := awsconfig.LoadDefaultConfig(ctx, awsconfig.WithRegion(cfg.Region), awsconfig.WithLogger(logging.Nop{}),
		awsconfig.WithHTTPClient(transport(cfg.Timeout)),
		awsconfig.WithRetryer(func() aws.Retryer {
			r := retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts, o.MaxBackoff = tries, maxBackoff })
			// Two writers met; the one that comes later is told that it lost.
			return retry.AddWithErrorCodes(r, "ConditionalRequestConflict")
		}))
	if err != nil {
		return nil, 0, fault.Wrap(fault.Invalid, err, "the AWS configuration of this process cannot be read")
	}
	if c.Region == "" && cfg.Endpoint == "" {
		return nil, 0, fault.Field("objectStore.region", "must be set (or AWS_REGION): an s3:// store without an endpoint of its own lies in one")
	}
	if c.Region == "" {
		c.Region = defaultRegion
	}
	return s3.NewFromConfig(c, reach(cfg.Endpoint, cfg.PathStyle)), c.RequestChecksumCalculation, nil
}

func reach(endpoint string, pathStyle bool) func(*s3.Options) {
	return func(o *s3.Options) {
		if endpoint != "" {
			o.BaseEndpoint = aws.String(endpoint)
		}
		o.UsePathStyle = pathStyle
	}
}

// transport is the SDK's, with a limit on silence.
func transport(timeout time.Duration) *awshttp.BuildableClient {
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	dialer := &net.Dialer{Timeout: min(dialTimeout, timeout), KeepAlive: 15 * time.Second}
	return awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.TLSHandshakeTimeout = min(dialTimeout, timeout)
		t.MaxIdleConnsPerHost = 64
		t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return silenceLimit{Conn: conn, limit: timeout}, nil
		}
	})
}

// silenceLimit ends a connection on which nothing has moved for too long. A
// limit on the whole of a request would end large objects, too.
type silenceLimit struct {
	net.Conn
	limit time.Duration
}

func (c silenceLimit) Read(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.limit)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

// Write moves the deadline of a Read that waits beside it, as well.
func (c silenceLimit) Write(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.limit)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
