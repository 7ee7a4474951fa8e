package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// durable measures committed placements against the same statements sent alone.
// That needs the inside of admin/store, so the store's own benchmark does it, on
// a database that is started for it; its lines are passed on.
func (b *bench) durable(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "go", "run", "./deploy/local/with", "--",
		"go", "test", "-run", "^$", "-bench", "^BenchmarkDurablePlacements$", "-benchtime", "1x", "./admin/store")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return passOn(bytes.NewReader(out), b.out)
}

// passOn copies the BENCH lines of a go test.
func passOn(from io.Reader, to io.Writer) error {
	n := 0
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		_, figure, found := strings.Cut(lines.Text(), "BENCH {")
		if !found {
			continue
		}
		n++
		if _, err := fmt.Fprintf(to, "BENCH {%s\n", figure); err != nil {
			return err
		}
	}
	if n == 0 {
		return errors.New("the benchmark printed no BENCH line")
	}
	return lines.Err()
}
