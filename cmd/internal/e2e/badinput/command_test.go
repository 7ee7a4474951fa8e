package badinput

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/cmd/internal/local/federationtest"
)

// run gives what a program says and its exit code.
func run(t *testing.T, program string, args ...string) func(context.Context) (answer, error) {
	path := filepath.Join(federationtest.Binaries(t), program)
	return func(ctx context.Context) (answer, error) {
		cmd := exec.CommandContext(ctx, path, args...)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			return answer{}, err
		}
		return answer{fmt.Sprintf("exit %d", cmd.ProcessState.ExitCode()), string(out)}, nil
	}
}

func exit(k fault.Kind) string { return fmt.Sprintf("exit %d", k.Exit()) }

// file writes a file for one row and gives its path.
func file(t *testing.T, name, text string) string {
	path := filepath.Join(t.TempDir(), name)
	must(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func (r *rig) commands(t *testing.T) []row {
	bad := func(kind fault.Kind, says string, args ...string) row {
		return row{"skein " + strings.Join(args, " "), exit(kind), says, run(t, "skein", append([]string{"--config", r.Config}, args...)...)}
	}
	manifest := func(name, says, text string) row {
		return row{"skein register: " + name, exit(fault.Invalid), says,
			run(t, "skein", "--config", r.Config, "register", "-f", file(t, "w.yaml", text))}
	}
	return []row{
		bad(fault.Invalid, `unknown command "launhc"; did you mean skein launch\?`, "launhc"),
		bad(fault.Invalid, `unknown flag: --colour; see skein get --help`, "get", "--colour"),
		bad(fault.Invalid, `--limit: want a whole number`, "get", "--limit", "many"),
		bad(fault.Invalid, `--output: want table, json or yaml, got "xml"`, "get", "-o", "xml"),
		bad(fault.Invalid, `--watch: needs the name`, "get", "--watch"),
		bad(fault.NotFound, `nowhere.*skein get lists executions`, "get", "nowhere"),
		bad(fault.Invalid, `id.name: .*255`, "get", strings.Repeat("x", 300)),
		bad(fault.Invalid, "want LAUNCH-PLAN, got 0", "launch"),
		bad(fault.NotFound, `no launch plan "bad.nowhere".*skein register`, "launch", "bad.nowhere"),
		bad(fault.Invalid, `seconds: is required`, "launch", plan, "--version", version),
		bad(fault.Invalid, `--input: seconds: `, "launch", plan, "--version", version, "--input", "seconds=many"),
		bad(fault.Invalid, `--input: "minutes" is no input of this launch plan; it has seconds`, "launch", plan, "--version", version, "--input", "minutes=1"),
		bad(fault.Invalid, `--input: want name=value`, "launch", plan, "--version", version, "--input", "seconds"),
		bad(fault.Invalid, `execution_cluster_label`, "launch", plan, "--version", version, "--input", "seconds=1", "--cluster-label", "a in (b"),
		bad(fault.Invalid, `^error: name: `, "launch", plan, "--version", version, "--input", "seconds=1", "--name", "Odd_Name"),
		bad(fault.NotFound, `nobody:development:bad.sleep`, "launch", plan, "--version", version, "--project", "nobody"),
		bad(fault.Precondition, "ended", "abort", ended),
		bad(fault.NotFound, "nowhere", "logs", "nowhere"),
		bad(fault.Invalid, `--attempt: want a whole number`, "logs", ended, "--attempt", "-1"),
		bad(fault.NotFound, "nowhere", "explain", "nowhere"),
		bad(fault.Invalid, `--taint: want key=value:Effect`, "cluster", "register", "bad", "--taint", "gpu"),
		bad(fault.Invalid, `^error: labels: `, "cluster", "register", "bad", "--label", "a b=c"),
		bad(fault.Invalid, `--token-ttl: want a duration`, "cluster", "register", "bad", "--token-ttl", "soon"),
		bad(fault.Invalid, `token_ttl`, "cluster", "register", "bad", "--token-ttl", "99h"),
		bad(fault.NotFound, `nowhere.*skein cluster list`, "cluster", "describe", "nowhere"),
		bad(fault.Invalid, "--file: must be set", "register"),
		bad(fault.Invalid, "--file cannot be read", "register", "-f", "/nowhere.yaml"),
		bad(fault.Invalid, "--file cannot be read", "register", "-f", "/"),
		manifest("nothing", "task", ""),
		manifest("no YAML", "yaml", "tasks: [\n"),
		manifest("a program", "yaml|control", "\x7fELF\x02\x01\x01\x00\x00"),
		manifest("a key that is unknown", "colour", "tasks:\n  - {name: a, image: b, command: [c], colour: red}\n"),
		manifest("a task that is unknown", "ghost", "workflow:\n  name: w\n  nodes: [{id: a, task: ghost}]\n"),
		manifest("a circle", "wait for one another.*: a, b", "tasks: [{name: t, image: i, command: [c]}]\nworkflow:\n  name: w\n  nodes: [{id: a, task: t, after: [b]}, {id: b, task: t, after: [a]}]\n"),
		manifest("a type that is none", "rocket", "tasks: [{name: t, image: i, command: [c], inputs: {x: rocket}}]\n"),
	}
}

// configurations are files that the programs cannot start from.
func (r *rig) configurations(t *testing.T) []row {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	nobody := free.Addr().String()
	must(t, free.Close())
	cli := func(name string, kind fault.Kind, says, text string) row {
		return row{"skein's configuration: " + name, exit(kind), says, run(t, "skein", "--config", file(t, "config.yaml", text), "cluster", "list")}
	}
	server := func(program, name, says, text string) row {
		return row{program + ": " + name, exit(fault.Invalid), says, run(t, program, "run", "--config", file(t, program+".yaml", text))}
	}
	return []row{
		{"skein's configuration: a file that is not there", exit(fault.Invalid), "/nowhere.yaml cannot be read", run(t, "skein", "--config", "/nowhere.yaml", "get")},
		cli("a key that is unknown", fault.Invalid, `"colour"; the keys are flyte`, "colour: red\n"),
		cli("no YAML", fault.Invalid, `config.yaml.*yaml`, "flyte: [\n"),
		cli("no address", fault.Invalid, "set skein and tokenFile in", "flyte: a:1\n"),
		cli("a token that is not there", fault.Invalid, "tokenFile /nowhere cannot be read", "skein: a:1\ntokenFile: /nowhere\n"),
		cli("a CA that is none", fault.Invalid, "holds no certificate", "skein: a:1\ntokenFile: "+r.client.TokenFile+"\nca: "+r.client.TokenFile+"\n"),
		cli("a CA of others", fault.Unavailable, "certificate", "skein: "+r.client.Skein+"\ntokenFile: "+r.client.TokenFile+"\n"),
		{"skein's configuration: an address of nobody", exit(fault.Unavailable), "cannot connect.*\n.*make demo", run(t, "skein", "--config", file(t, "c.yaml", "flyte: "+nobody+"\n"), "get")},
		server("skein-admin", "a key that is unknown", "colour", "colour: red\n"),
		server("skein-admin", "a duration that is none", `scheduler.lease: want a duration`, "scheduler: {lease: soon}\n"),
		server("skein-admin", "no database", "database.url", "replica: a\n"),
		server("skein-propeller", "a key that is unknown", "colour", "colour: red\n"),
		server("skein-propeller", "no cluster", "cluster", "hubs: []\n"),
		{"skein-admin: a file that is not there", exit(fault.Invalid), "/nowhere.yaml", run(t, "skein-admin", "run", "--config", "/nowhere.yaml")},
	}
}

// raw sends bytes to the HTTP port and tells the status line and what follows.
func (r *rig) raw(request string) func(context.Context) (answer, error) {
	return func(ctx context.Context) (answer, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", strings.TrimPrefix(r.web, "http://"))
		if err != nil {
			return answer{}, err
		}
		defer conn.Close()
		go func() { _, _ = conn.Write([]byte(request)) }() // the server may hang up before it has read all
		var head bytes.Buffer
		part := make([]byte, 4096)
		for {
			n, err := conn.Read(part)
			head.Write(part[:n])
			if err != nil {
				break
			}
		}
		_, status, _ := strings.Cut(head.String(), " ")
		if len(status) < 3 {
			return answer{}, fmt.Errorf("answered %q", head.String())
		}
		return answer{"HTTP " + status[:3], head.String()}, nil
	}
}
