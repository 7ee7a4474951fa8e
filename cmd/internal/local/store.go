package local

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/skein-project/skein/cmd/internal/config"
	"github.com/skein-project/skein/deploy/local/objectstore"
)

// bucket is where objects lie on the S3 server, below a prefix as anywhere
// where a bucket is shared.
const bucket = "skein"

// startStore makes the folder, or starts the server, that objects lie in.
func (f *Federation) startStore(ctx context.Context) error {
	f.store = config.DefaultAdmin().ObjectStore
	var err error
	if f.opts.ObjectStore == S3Store {
		err = f.startS3(ctx)
	} else if f.store.Root, err = f.folder.Sub("objects", false); err == nil {
		err = os.Chmod(f.store.Root, 0o755)
	}
	f.Store = f.store.Root
	return err
}

func (f *Federation) startS3(ctx context.Context) error {
	f.progress("S3 server")
	dir, err := f.folder.Sub("object-store", true)
	if err != nil {
		return err
	}
	port, err := f.book.Port("object-store")
	if err != nil {
		return err
	}
	f.Objects, err = objectstore.Start(ctx, f.group, objectstore.Options{Dir: dir, Port: port, Buckets: []string{bucket}, Log: f.opts.Progress})
	if err != nil {
		return err
	}
	f.store.Root, f.store.Endpoint, f.store.Region, f.store.PathStyle = "s3://"+bucket+"/data", f.Objects.Endpoint, objectstore.Region, true
	if f.opts.StoreFront != nil {
		if f.store.Endpoint, err = f.opts.StoreFront(f.Objects.Endpoint); err != nil {
			return fmt.Errorf("before the object store: %w", err)
		}
	}
	return nil
}

// keys are what the AWS SDKs look for.
func (f *Federation) keys() map[string]string {
	if f.Objects == nil {
		return nil
	}
	return map[string]string{"AWS_ACCESS_KEY_ID": f.Objects.AccessKey, "AWS_SECRET_ACCESS_KEY": f.Objects.SecretKey}
}

// withKeys adds the object store's keys to an environment, and hides what this
// machine has of AWS.
func (f *Federation) withKeys(env []string) []string {
	if f.Objects == nil {
		return env
	}
	var out []string
	for _, kv := range env {
		if !strings.HasPrefix(kv, "AWS_") {
			out = append(out, kv)
		}
	}
	for name, value := range f.keys() {
		out = append(out, name+"="+value)
	}
	return append(out, "AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull)
}

// writeFlyteConfig writes the configuration of Flyte's own clients: where the
// API is, and how they read objects.
func (f *Federation) writeFlyteConfig(grpc string) error {
	c := map[string]any{"admin": map[string]any{"endpoint": "dns:///" + grpc, "insecure": true, "authType": "Pkce"}}
	if f.Objects != nil {
		c["storage"] = map[string]any{"type": "minio", "container": bucket, "connection": map[string]any{
			"auth-type": "accesskey", "endpoint": f.store.Endpoint, "region": f.store.Region, "disable-ssl": true,
			"access-key": f.Objects.AccessKey, "secret-key": f.Objects.SecretKey,
		}}
	}
	raw, err := yaml.Marshal(c)
	if err != nil {
		return err
	}
	f.Flyte = filepath.Join(f.folder.Path, "flyte-config.yaml")
	return os.WriteFile(f.Flyte, raw, 0o600)
}
