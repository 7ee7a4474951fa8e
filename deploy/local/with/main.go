// Command with runs a command beside a real database and a real Kubernetes API server, which the tests below it share:
//
//	go run ./deploy/local/with -- go test ./...
//
// It is not for production and keeps no state. See package localtest, which does the work.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/skein-project/skein/deploy/local/localtest"
)

func main() {
	command := os.Args[1:]
	if len(command) > 0 && command[0] == "--" {
		command = command[1:]
	}
	if len(command) == 0 {
		fmt.Fprintln(os.Stderr, "usage: with [--] COMMAND [ARGUMENT]...")
		os.Exit(2)
	}
	code, err := localtest.With(context.Background(), command...)
	if err != nil {
		fmt.Fprintln(os.Stderr, "with:", err)
	}
	os.Exit(code)
}
