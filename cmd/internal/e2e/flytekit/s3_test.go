package flytekit

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/skein-project/skein/cmd/internal/local"
	"github.com/skein-project/skein/deploy/local/objectstore"
)

// inBuckets are the cases that only a bucket can have.
var inBuckets = []testCase{
	{"uploads go to the bucket", s3, (*suite).uploads},
	{"raw output in a bucket of the launch's own", s3, (*suite).otherBucket},
	{"raw output in a bucket that is not there", s3, (*suite).noBucket},
}

// TestFlytekitS3 runs the cases marked so with the objects in a bucket of a
// real S3 server, as production has them: no task and no client sees a folder.
func TestFlytekitS3(t *testing.T) {
	ground{name: "process nodes, S3 store", on: s3, own: inBuckets, options: local.Options{ObjectStore: local.S3Store}}.run(t)
}

// bucket lists what lies in a bucket below a prefix, past all of our code.
func (s *suite) bucket(t *testing.T, name, prefix string) []string {
	t.Helper()
	var keys []string
	pages := sdk.NewListObjectsV2Paginator(s.server(), &sdk.ListObjectsV2Input{Bucket: &name, Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Contents {
			keys = append(keys, aws.ToString(o.Key))
		}
	}
	return keys
}

func (s *suite) server() *sdk.Client {
	keys := credentials.NewStaticCredentialsProvider(s.fed.Objects.AccessKey, s.fed.Objects.SecretKey, "")
	return sdk.New(sdk.Options{BaseEndpoint: &s.fed.Objects.Endpoint, Region: objectstore.Region, UsePathStyle: true, Credentials: keys})
}

// uploads is where registration has sent the code, by a link that the bucket's
// server took.
func (s *suite) uploads(t *testing.T) {
	sent := s.bucket(t, "skein", "data/uploads/flytesnacks/development/")
	if !slices.ContainsFunc(sent, func(key string) bool { return strings.HasSuffix(key, ".tar.gz") }) {
		t.Errorf("in the bucket are %q, want the project's code", sent)
	}
	if local, err := filepath.Glob(filepath.Join(s.fed.State(), "objects", "*")); err != nil || len(local) > 0 {
		t.Errorf("in a folder are %q, %v", local, err)
	}
}

// otherBucket has a Python task and a container leave files in a bucket that
// the control plane knows nothing of.
func (s *suite) otherBucket(t *testing.T) {
	if _, err := s.server().CreateBucket(t.Context(), &sdk.CreateBucketInput{Bucket: aws.String("elsewhere")}); err != nil {
		t.Fatal(err)
	}
	const raw = "s3://elsewhere/of my own"
	e := s.wait(t, launch{Name: "carried.carried", Inputs: values{"text": "far"}, Options: options{Raw: raw}})
	e.succeeded(t)
	want(t, "the launch's prefix", e.Raw, raw)
	var names []string
	for _, key := range s.bucket(t, "elsewhere", "of my own/") {
		names = append(names, filepath.Base(key))
	}
	for _, name := range []string{"note.txt", "copy"} {
		if !strings.Contains(strings.Join(names, " "), name) {
			t.Errorf("in the bucket are %q, want %s among them", names, name)
		}
	}
	want(t, "text", s.downloaded(t, e), "far!")
}

// noBucket tells the author of a launch what is wrong with its prefix.
func (s *suite) noBucket(t *testing.T) {
	file := filepath.Join(s.shared(t), "sent.txt")
	if err := os.WriteFile(file, []byte("sent"), 0o600); err != nil {
		t.Fatal(err)
	}
	e := s.wait(t, launch{Name: "carried.contained", Inputs: values{"file": file}, Options: options{Raw: "s3://nobody-made-it/x"}})
	want(t, "phase", e.Phase, "FAILED")
	if !strings.Contains(e.Code+" "+e.Error, "RawOutputNotWritable") || !strings.Contains(e.Error, "bucket does not exist") {
		t.Errorf("error %s %s, want RawOutputNotWritable", e.Code, e.Error)
	}
}
