package blob_test

import (
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/deploy/local/smalldisk"
	"github.com/skein-project/skein/plugins/blob"
)

// TestAFullDisk: every way to write says so, leaves nothing, and works when
// there is room. (I40.)
func TestAFullDisk(t *testing.T) {
	root := t.TempDir()
	disk := smalldisk.New(t, root, 4<<20)
	s := open(t, blob.Config{Root: root})
	data := []byte(strings.Repeat("x", 100<<10))
	once := func(uri string) error {
		w, err := s.Create(t.Context(), uri, true)
		if err != nil {
			return err
		}
		_, err = w.Write(data)
		if end := w.Close(); err == nil {
			err = end
		}
		return err
	}
	write := func(uri string) error { return s.Write(t.Context(), uri, data) }
	for name, put := range map[string]func(string) error{"write": write, "once": once} {
		uri := filepath.Join(root, name, "object")
		disk.Fill()
		if err := put(uri); !fault.Is(err, fault.Exhausted) || !strings.Contains(err.Error(), "disk is full") {
			t.Errorf("%s on a full disk: %v", name, err)
		}
		disk.Empty()
		left := 0
		err := filepath.WalkDir(filepath.Join(root, name), func(_ string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				left++
			}
			return nil
		})
		if err != nil || left != 0 {
			t.Errorf("%s left %d files (%v)", name, left, err)
		}
		if err := put(uri); err != nil {
			t.Errorf("%s with room again: %v", name, err)
		}
	}
}
