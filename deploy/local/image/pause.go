package image

import (
	"context"
	"crypto/sha256"
	_ "embed" // pause's source
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// PauseName is what the image of a pod's first process is imported as.
const PauseName = "localhost/skein-pause:local"

//go:embed pause/pause.go.txt
var pauseSource []byte

// Pause packs the image of a pod's first process: one static program of ours, built by the Go toolchain once.
func Pause(ctx context.Context, cache string) (*Image, error) {
	sum := sha256.Sum256(append([]byte(runtime.Version()+"\x00"), pauseSource...))
	program := filepath.Join(cache, "pause-"+hex.EncodeToString(sum[:8]))
	if _, err := os.Stat(program); err != nil {
		if err := buildPause(ctx, program); err != nil {
			return nil, fmt.Errorf("build the program pause: %w", err)
		}
	}
	t := tree{}
	if err := t.program("/pause", program); err != nil {
		return nil, err
	}
	layer, err := t.layer(cache, "pause")
	return &Image{Names: []string{PauseName}, Layers: []Layer{layer}, Entrypoint: []string{"/pause"}, Dir: "/"}, err
}

func buildPause(ctx context.Context, program string) error {
	if err := os.MkdirAll(filepath.Dir(program), 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "skein-pause-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	source := filepath.Join(work, "main.go")
	if err := os.WriteFile(source, pauseSource, 0o644); err != nil {
		return err
	}
	built := filepath.Join(work, "pause")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", built, source)
	build.Dir = work
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=", "GO111MODULE=off")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	data, err := os.ReadFile(built)
	if err != nil {
		return err
	}
	temporary := fmt.Sprintf("%s.%d", program, os.Getpid())
	defer os.Remove(temporary)
	if err := os.WriteFile(temporary, data, 0o755); err != nil {
		return err
	}
	return os.Rename(temporary, program)
}
