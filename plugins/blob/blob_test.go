package blob_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/deploy/local/smalldisk"
	"github.com/skein-project/skein/plugins/blob"
	"github.com/skein-project/skein/plugins/blob/blobtest"
)

func TestMain(m *testing.M) { smalldisk.Main(m, func(m *testing.M) { os.Exit(m.Run()) }) }

func open(t *testing.T, cfg blob.Config) *blob.Store {
	t.Helper()
	if cfg.Root == "" {
		cfg.Root = filepath.Join(t.TempDir(), "store")
	}
	s, err := blob.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestFiles(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blobtest.Store { return open(t, blob.Config{}) })
}

func TestOpenRefuses(t *testing.T) {
	for root, kind := range map[string]fault.Kind{
		"": fault.Invalid, "relative/path": fault.Invalid, "/": fault.Invalid, "gs://bucket/prefix": fault.Unsupported,
	} {
		if _, err := blob.Open(t.Context(), blob.Config{Root: root}); !fault.Is(err, kind) {
			t.Errorf("open %q: %v, want %v", root, err, kind)
		}
	}
}

func TestFileURIsAndModes(t *testing.T) {
	s := open(t, blob.Config{Root: "file://" + filepath.Join(t.TempDir(), "s")})
	uri := blob.Join(s.Root(), "a/", "", "/b")
	if err := s.Write(t.Context(), "file://"+uri, []byte("x")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(uri)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o644 {
		t.Errorf("mode = %v, want others to read", info.Mode())
	}
}

func TestReadLimit(t *testing.T) {
	s := open(t, blob.Config{MaxRead: 4})
	for text, want := range map[string]bool{"four": true, "fives": false} {
		if err := s.Write(t.Context(), s.Root()+"/x", []byte(text)); err != nil {
			t.Fatal(err)
		}
		_, err := s.Read(t.Context(), s.Root()+"/x")
		if want != (err == nil) || (!want && !fault.Is(err, fault.Exhausted)) {
			t.Errorf("read %q: %v", text, err)
		}
	}
}

func TestLinksOutOfRootAreNotFollowed(t *testing.T) {
	s := open(t, blob.Config{})
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, s.Root()+"/file"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Dir(secret), s.Root()+"/dir"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/file", "/dir/secret"} {
		if got, err := s.Read(t.Context(), s.Root()+name); err == nil {
			t.Errorf("read %s = %q", name, got)
		}
	}
	if err := s.Write(t.Context(), s.Root()+"/dir/sub/new", nil); err == nil {
		t.Error("wrote through a link")
	}
}
