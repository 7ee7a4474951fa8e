package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// entries reads a tar archive.
func entries(t *testing.T, r io.Reader) (map[string]*tar.Header, map[string][]byte) {
	t.Helper()
	headers, data := map[string]*tar.Header{}, map[string][]byte{}
	for archive := tar.NewReader(r); ; {
		h, err := archive.Next()
		if err == io.EOF { //nolint:errorlint // the reader returns it as it is
			return headers, data
		}
		if err != nil {
			t.Fatal(err)
		}
		headers[h.Name] = h
		if data[h.Name], err = io.ReadAll(archive); err != nil {
			t.Fatal(err)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestALayerKeepsTimesAndLinksAndIsPackedOnce(t *testing.T) {
	dir, cache := t.TempDir(), t.TempDir()
	file, then := filepath.Join(dir, "real", "module.py"), time.Unix(1700000000, 0)
	write(t, file, "code")
	if err := os.Chtimes(file, then, then); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{"venv": "real", "real/gone": "nowhere"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	pack := func() Layer {
		made := tree{}
		if err := made.addAll(filepath.Join(dir, "venv"), func(path string) bool { return strings.HasSuffix(path, ".skip") }); err != nil {
			t.Fatal(err)
		}
		layer, err := made.layer(cache, "x")
		if err != nil {
			t.Fatal(err)
		}
		return layer
	}
	first := pack()
	raw, err := os.ReadFile(first.Path)
	if err != nil {
		t.Fatal(err)
	}
	headers, data := entries(t, bytes.NewReader(raw))
	name := strings.TrimPrefix(file, "/")
	if h := headers[name]; h == nil || !h.ModTime.Equal(then) || string(data[name]) != "code" || h.Mode != 0o755 {
		t.Errorf("the file: %+v, %q", h, data[name])
	}
	for link, target := range map[string]string{"venv": "real", "real/gone": "nowhere"} {
		if h := headers[strings.TrimPrefix(filepath.Join(dir, link), "/")]; h == nil || h.Linkname != target {
			t.Errorf("the link %s: %+v", link, h)
		}
	}
	write(t, filepath.Join(dir, "real", "other.skip"), "no")
	if again := pack(); again != first {
		t.Errorf("packed again: %+v, %+v", first, again)
	}
	if err := os.Chtimes(file, then, then.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if changed := pack(); changed.Path == first.Path {
		t.Error("a changed file is not seen")
	}
	// An archive that was cut short counts for nothing.
	if err := os.Truncate(first.Path, 10); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(file, then, then); err != nil {
		t.Fatal(err)
	}
	if repaired, info := pack(), stat(t, first.Path); repaired != first || info.Size() != first.Size {
		t.Errorf("%+v, %d bytes", repaired, info.Size())
	}
}

func stat(t *testing.T, path string) os.FileInfo {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func TestAnArchiveNamesEverythingByItsDigest(t *testing.T) {
	pause, err := Pause(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	pause.Names = append(pause.Names, "example.org/other:1")
	var out bytes.Buffer
	if err := pause.Write(&out); err != nil {
		t.Fatal(err)
	}
	_, data := entries(t, &out)
	for name, raw := range data {
		if digest, ok := strings.CutPrefix(name, "blobs/sha256/"); ok {
			if sum := sha256.Sum256(raw); hex.EncodeToString(sum[:]) != digest {
				t.Errorf("blob %s is another one", name)
			}
		}
	}
	var index struct{ Manifests []descriptor }
	if err := json.Unmarshal(data["index.json"], &index); err != nil || len(index.Manifests) != 2 {
		t.Fatalf("%+v, %v", index, err)
	}
	for i, m := range index.Manifests {
		var manifest struct{ Config, Layers json.RawMessage }
		raw := data[blob(m.Digest)]
		if err := json.Unmarshal(raw, &manifest); err != nil || m.Annotations[nameAnnotation] != pause.Names[i] || int(m.Size) != len(raw) {
			t.Errorf("%+v: %v", m, err)
		}
		if !strings.Contains(string(manifest.Layers), pause.Layers[0].Digest) {
			t.Errorf("the manifest lacks the layer: %s", raw)
		}
	}
}

func TestProgramsComeWithTheirLibraries(t *testing.T) {
	im, err := Task(t.Context(), TaskOptions{Cache: t.TempDir(), Work: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(im.Layers[0].Path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	headers, _ := entries(t, file)
	for _, want := range []string{"libc.so.6", "ld-linux", "sleep", "tar", "libselinux"} { // the last one is tar's and others'
		found := false
		for name := range headers {
			found = found || strings.Contains(filepath.Base(name), want)
		}
		if !found {
			t.Errorf("there is no %s in %d files", want, len(headers))
		}
	}
}
