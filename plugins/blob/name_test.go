package blob_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/skein-project/skein/plugins/blob"
)

func nameOf(t *testing.T, cfg blob.Config) string {
	t.Helper()
	s, err := blob.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	name, err := s.Name()
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// A folder has one name for all who open it, at once or later; two folders have
// two, and so has one folder under two paths, since its objects' URIs differ.
func TestAFolderIsKnownByItsOwnName(t *testing.T) {
	one, other := t.TempDir(), t.TempDir()
	names := make([]string, 16)
	var all sync.WaitGroup
	for i := range names {
		all.Go(func() { names[i] = nameOf(t, blob.Config{Root: one}) })
	}
	all.Wait()
	for _, n := range names {
		if n != names[0] || n == "" {
			t.Fatalf("one folder is called %q and %q", names[0], n)
		}
	}
	if n := nameOf(t, blob.Config{Root: "file://" + one}); n != names[0] {
		t.Errorf("by its URI it is called %q, and %q", n, names[0])
	}
	if n := nameOf(t, blob.Config{Root: other}); strings.TrimSuffix(n, other) == strings.TrimSuffix(names[0], one) {
		t.Errorf("two folders are called %q and %q", n, names[0])
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(one, link); err != nil {
		t.Fatal(err)
	}
	if n := nameOf(t, blob.Config{Root: link}); n == names[0] {
		t.Errorf("under two paths it is called %q", n)
	}
	files, err := os.ReadDir(one)
	if err != nil || len(files) != 1 {
		t.Errorf("%v, %v: want the name, and nothing left over", files, err)
	}
	s, err := blob.Open(t.Context(), blob.Config{Root: one})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Write(t.Context(), filepath.Join(one, files[0].Name()), []byte("x")); err == nil {
		t.Error("the name can be written over as an object")
	}
	if list, err := s.List(t.Context(), one+"/"); err != nil || len(list) != 0 {
		t.Errorf("the name is listed: %v, %v", list, err)
	}
}

func TestAFolderWithoutANameSaysSo(t *testing.T) {
	dir := t.TempDir()
	nameOf(t, blob.Config{Root: dir})
	if err := os.WriteFile(filepath.Join(dir, ".skein-store.attrs"), []byte("a/b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := blob.Open(t.Context(), blob.Config{Root: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if name, err := s.Name(); err == nil || name != "" {
		t.Errorf("%q, %v", name, err)
	}
}

func TestABucketIsKnownByItsServer(t *testing.T) {
	config := func(root, endpoint string) blob.Config {
		return blob.Config{Root: root, S3: blob.S3{Endpoint: endpoint, Region: "eu"}}
	}
	same := []blob.Config{config("s3://b/p", "http://s3.example:9000"), config("s3://b/p/", "http://S3.example:9000/")}
	for _, c := range same {
		if n := nameOf(t, c); n != "s3://b/p@http://s3.example:9000" {
			t.Errorf("%s at %s is called %q", c.Root, c.S3.Endpoint, n)
		}
	}
	for _, c := range []blob.Config{config("s3://b/q", same[0].S3.Endpoint), config("s3://b/p", "http://s3.example:9001"), config("s3://b/p", "")} {
		if n := nameOf(t, c); n == nameOf(t, same[0]) {
			t.Errorf("%s at %s is called %q as another one", c.Root, c.S3.Endpoint, n)
		}
	}
}
