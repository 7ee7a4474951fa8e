package logs

import (
	"bytes"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func ask(t *testing.T, path, query string) string {
	t.Helper()
	values, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	q, err := ReadQuery(values, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := q.Copy(t.Context(), path, &out, func() bool { return false }, func() {}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestQueries(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l, err := New(path, "header\n")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	write := func(text string) {
		t.Helper()
		if _, err := l.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	write("a\nb\n")
	time.Sleep(3 * indexStep)
	middle := time.Now()
	time.Sleep(3 * indexStep)
	write("c\nd")
	for query, want := range map[string]string{
		"":                        "header\na\nb\nc\nd",
		"tailLines=1":             "d",
		"tailLines=3":             "b\nc\nd",
		"tailLines=30":            "header\na\nb\nc\nd",
		"tailLines=0":             "",
		"limitBytes=8":            "header\na",
		"limitBytes=0":            "",
		"sinceSeconds=0":          "",
		"follow=true&tailLines=1": "d",
		"sinceTime=2000-01-01T00:00:00Z&tailLines=1": "d",
	} {
		if got := ask(t, path, query); got != want {
			t.Errorf("%q: %q, want %q", query, got, want)
		}
	}
	for i, line := range strings.Split(ask(t, path, "timestamps=true"), "\n") {
		stamp, _, _ := strings.Cut(line, " ")
		at, err := time.Parse(time.RFC3339Nano, stamp)
		if err != nil || at.After(middle) != (i >= 3) {
			t.Errorf("line %d: %q, %v; the break was at %s", i, line, err, middle)
		}
	}
	if got := string(l.Tail(100, 80)); got != "a\nb\nc\nd" {
		t.Errorf("tail with the header: %q", got)
	}
	if got := string(l.Tail(2, 80)); got != "\nd" {
		t.Errorf("tail in bytes: %q", got)
	}
}

func TestBadQueriesAreRefused(t *testing.T) {
	for _, query := range []string{"tailLines=x", "tailLines=-1", "limitBytes=1.5", "sinceTime=now"} {
		values, _ := url.ParseQuery(query)
		if _, err := ReadQuery(values, time.Now()); err == nil {
			t.Errorf("%s was accepted", query)
		}
	}
}

func TestTheLogIsBoundedAndTheOneBeforeIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l, err := New(path, "one\n")
	if err != nil {
		t.Fatal(err)
	}
	chunk := bytes.Repeat([]byte("x"), maxLog/4)
	for range 6 {
		if _, err := l.Write(chunk); err != nil {
			t.Fatal(err)
		}
	}
	l.Close()
	if info, err := os.Stat(path); err != nil || info.Size() > maxLog+200 {
		t.Errorf("%d bytes, %v", info.Size(), err)
	}
	if tail := ask(t, path, "tailLines=1"); !strings.Contains(tail, "limit") {
		t.Errorf("the end does not say that the limit was reached: %.80q", tail)
	}
	next, err := New(path, "two\n")
	if err != nil {
		t.Fatal(err)
	}
	next.Close()
	if got := ask(t, Previous(path), "limitBytes=4"); got != "one\n" {
		t.Errorf("previous: %q", got)
	}
}
