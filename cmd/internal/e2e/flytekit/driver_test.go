package flytekit

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// driver is one Python process with FlyteRemote, which serves many requests at
// a time: importing flytekit costs seconds, so it is done once.
type driver struct {
	in     io.WriteCloser
	stderr string // path of its log

	mu      sync.Mutex
	next    int
	waiting map[int]chan reply
}

type reply struct {
	ID     int             `json:"id"`
	Result json.RawMessage `json:"result"`
	Type   string          `json:"type"`
	Error  string          `json:"error"`
}

// startDriver starts the driver, and ends it after the test.
func startDriver(t *testing.T, s *suite) *driver {
	t.Helper()
	d := &driver{waiting: map[int]chan reply{}, stderr: filepath.Join(s.dir, "driver.log")}
	log, err := os.Create(d.stderr)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(filepath.Join(s.venv, "python"), filepath.Join("testdata", "driver"))
	cmd.Env, cmd.Stderr = s.env(), log
	if d.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.read(out)
	}()
	t.Cleanup(func() {
		d.in.Close()
		<-done
		if err := cmd.Wait(); err != nil {
			t.Errorf("the driver ended: %v", err)
		}
		if raw, _ := os.ReadFile(d.stderr); t.Failed() {
			t.Logf("--- driver\n%s", raw[max(0, len(raw)-20000):])
		}
	})
	return d
}

// read hands replies to those who wait for them, until the driver ends.
func (d *driver) read(out io.Reader) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var r reply
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			r = reply{Error: fmt.Sprintf("not an answer: %q", lines.Bytes())}
		}
		d.mu.Lock()
		if c := d.waiting[r.ID]; c != nil {
			c <- r
			delete(d.waiting, r.ID)
		}
		d.mu.Unlock()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.waiting {
		c <- reply{Error: "the driver ended"}
	}
	d.waiting = nil
}

// try asks the driver and returns its answer or the client's error. It may be
// called in any goroutine.
func (d *driver) try(op string, args, into any) error {
	d.mu.Lock()
	if d.waiting == nil {
		d.mu.Unlock()
		return fmt.Errorf("%s: the driver has ended", op)
	}
	d.next++
	id, answer := d.next, make(chan reply, 1)
	d.waiting[id] = answer
	raw, err := json.Marshal(map[string]any{"id": id, "op": op, "args": args})
	if err == nil {
		_, err = d.in.Write(append(raw, '\n'))
	}
	d.mu.Unlock()
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	select {
	case r := <-answer:
		if r.Error != "" || r.Type != "" {
			return fmt.Errorf("%s: %s: %s", op, r.Type, r.Error)
		}
		if into == nil {
			return nil
		}
		return json.Unmarshal(r.Result, into)
	case <-time.After(patience):
		return fmt.Errorf("%s: no answer within %s", op, patience)
	}
}

// ask is try for what must succeed.
func (d *driver) ask(t *testing.T, op string, args, into any) {
	t.Helper()
	if err := d.try(op, args, into); err != nil {
		t.Fatal(err)
	}
}
