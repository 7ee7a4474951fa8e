package objectstore_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"github.com/skein-project/skein/deploy/local/objectstore"
	"github.com/skein-project/skein/deploy/local/objectstore/objectstoretest"
)

func client(s *objectstore.Server, access, secret string) *s3.Client {
	return s3.New(s3.Options{BaseEndpoint: &s.Endpoint, Region: objectstore.Region, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(access, secret, "")})
}

func put(ctx context.Context, c *s3.Client, key, text string) error {
	_, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("one"), Key: &key, Body: strings.NewReader(text)})
	return err
}

func TestOnlyItsKeysAreTaken(t *testing.T) {
	s := objectstoretest.Start(t, "one", "two")
	if err := put(t.Context(), client(s, s.AccessKey, s.SecretKey), "a/b", "x"); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]*s3.Client{"a wrong secret": client(s, s.AccessKey, "guess"), "a wrong name": client(s, "guess", s.SecretKey)} {
		var said smithy.APIError
		err := put(t.Context(), c, "a/b", "y")
		if !errors.As(err, &said) || !slices.Contains([]string{"SignatureDoesNotMatch", "InvalidAccessKeyId", "XAdminUserNotFound"}, said.ErrorCode()) {
			t.Errorf("%s: %v, want it refused", name, err)
		}
	}
	answer, err := http.Get(s.Endpoint + "/one/a/b")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusForbidden {
		t.Errorf("nobody reads: %s, want 403", answer.Status)
	}
}

func TestObjectsAndKeysSurviveAKill(t *testing.T) {
	s := objectstoretest.Start(t, "one")
	c := client(s, s.AccessKey, s.SecretKey)
	if err := put(t.Context(), c, "kept", "text"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Process.Kill9(), s.Process.Restart(t.Context())); err != nil {
		t.Fatal(err)
	}
	out, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("one"), Key: aws.String("kept")})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Body.Close()
	if text, err := io.ReadAll(out.Body); err != nil || string(text) != "text" {
		t.Errorf("after a kill: %q, %v", text, err)
	}
}

func TestKeysAreTheOwnersAlone(t *testing.T) {
	s := objectstoretest.Start(t)
	dirs, err := filepath.Glob("/var/tmp/skein-s3-test-*/s3")
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, dir := range dirs {
		raw, err := os.ReadFile(filepath.Join(dir, "secret.key"))
		if err != nil || strings.TrimSpace(string(raw)) != s.SecretKey {
			continue // another test's
		}
		found = true
		info, err := os.Stat(filepath.Join(dir, "secret.key"))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the key's mode is %v, %v", info.Mode(), err)
		}
		if log, err := os.ReadFile(filepath.Join(dir, "object-store.log")); err != nil || strings.Contains(string(log), s.SecretKey) {
			t.Errorf("the log holds the key, or cannot be read: %v", err)
		}
	}
	if !found {
		t.Error("the key's file is not there")
	}
}
