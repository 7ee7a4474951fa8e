package tools

import (
	"context"
	"crypto/sha256"
	_ "embed" // the module files
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// CacheVariable names the environment variable that overrides where built programs are kept.
const CacheVariable = "SKEIN_CACHE"

var (
	//go:embed kube/go.mod.txt
	kubeMod string
	//go:embed kube/go.sum.txt
	kubeSum string
	//go:embed s3/go.mod.txt
	s3Mod string
	//go:embed s3/go.sum.txt
	s3Sum string
)

// module is what a group of programs is built from.
type module struct {
	name, version string
	mod, sum      string
	flags         []string // in the cache folder's name
}

var (
	kube = module{"kube", Version, kubeMod, kubeSum, kubeFlags()}
	s3   = module{"s3", S3Version, s3Mod, s3Sum, []string{"-trimpath", "-mod=readonly", "-ldflags=-s -w -X main.Version=" + S3Version}}
)

// CacheRoot returns the folder for all that can be made anew: ${SKEIN_CACHE}, else skein in the user's cache folder.
func CacheRoot() (string, error) {
	if root := os.Getenv(CacheVariable); root != "" {
		return filepath.Abs(root)
	}
	root, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("%w (or set %s)", err, CacheVariable)
	}
	return filepath.Join(root, "skein"), nil
}

// cacheDir returns the folder of exactly this module, these flags and this Go version.
func (m module) cacheDir(goVersion string) (string, error) {
	root, err := CacheRoot()
	if err != nil {
		return "", err
	}
	inputs := []string{m.mod, m.sum, strings.Join(m.flags, " "), goVersion, runtime.GOOS, runtime.GOARCH}
	sum := sha256.Sum256([]byte(strings.Join(inputs, "\x00")))
	return filepath.Join(root, m.name, m.version+"-"+hex.EncodeToString(sum[:6])), nil
}

// write writes the embedded module into a temporary folder.
func (m module) write() (string, error) {
	dir, err := os.MkdirTemp("", "skein-"+m.name+"-")
	if err != nil {
		return "", err
	}
	return dir, errors.Join(
		os.WriteFile(filepath.Join(dir, "go.mod"), []byte(m.mod), 0o644),
		os.WriteFile(filepath.Join(dir, "go.sum"), []byte(m.sum), 0o644))
}

// lock takes the folder's lock, waiting for another process if need be, and says so.
func lock(ctx context.Context, dir string, log func(string)) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	started, said := time.Now(), time.Time{}
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.Join(err, file.Close())
		}
		if time.Since(said) >= progressEvery {
			said = time.Now()
			log(fmt.Sprintf("process %s builds programs there: waiting for it since %s",
				holder(file), time.Since(started).Round(time.Second)))
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), file.Close())
		case <-time.After(100 * time.Millisecond):
		}
	}
	_ = file.Truncate(0)
	_, _ = file.WriteAt(fmt.Appendf(nil, "%d", os.Getpid()), 0)
	return func() { _ = file.Close() }, nil
}

// holder reads who wrote itself into the lock file.
func holder(file *os.File) string {
	pid, err := io.ReadAll(io.NewSectionReader(file, 0, 20))
	if err != nil || len(pid) == 0 {
		return "of another run"
	}
	return string(pid)
}
