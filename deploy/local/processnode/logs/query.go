package logs

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"time"
)

// Query is what a client asks of a log: the kubelet's parameters.
type Query struct {
	// Previous asks for the run before.
	Previous           bool
	follow, timestamps bool
	// tail and limit are -1 if not asked for.
	tail, limit int64
	since       time.Time
}

// ReadQuery reads follow, previous, timestamps, tailLines, limitBytes,
// sinceSeconds and sinceTime; the error is the client's.
func ReadQuery(values url.Values, now time.Time) (Query, error) {
	q := Query{tail: -1, limit: -1}
	for name, to := range map[string]*bool{"follow": &q.follow, "previous": &q.Previous, "timestamps": &q.timestamps} {
		*to = values.Get(name) == "true" || values.Get(name) == "1"
	}
	seconds := int64(-1)
	for name, to := range map[string]*int64{"tailLines": &q.tail, "limitBytes": &q.limit, "sinceSeconds": &seconds} {
		text := values.Get(name)
		if text == "" {
			continue
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 {
			return q, fmt.Errorf("%s must be a number that is not negative", name)
		}
		*to = n
	}
	if seconds >= 0 {
		q.since = now.Add(-time.Duration(seconds) * time.Second)
	}
	if text := values.Get("sinceTime"); text != "" {
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return q, fmt.Errorf("sinceTime must be a time as in RFC 3339")
		}
		q.since = t
	}
	return q, nil
}

// Copy writes what is asked for of the log at the path, line by line, and calls
// flush whenever it has to wait for more. It follows the log, if asked to, as
// long as live says that the container runs, and ends with the context.
func (q Query) Copy(ctx context.Context, path string, to io.Writer, live func() bool, flush func()) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	offset, err := q.start(file)
	if err != nil {
		return err
	}
	lines := bufio.NewReader(&follower{ctx: ctx, file: file, flush: flush, live: func() bool {
		return q.follow && !q.Previous && live()
	}})
	return q.lines(path, offset, lines, &bounded{to: to, left: q.limit})
}

// lines copies what lies behind the offset.
func (q Query) lines(path string, offset int64, lines *bufio.Reader, out *bounded) error {
	for times := (&index{path: indexPath(path)}); ; {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			if err := out.write(q.dress(line, times.at(offset))); err != nil {
				return err
			}
			offset += int64(len(line))
		}
		if err == io.EOF || out.left == 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// bounded writes so many bytes and drops the rest; -1 is no bound.
type bounded struct {
	to   io.Writer
	left int64
}

func (b *bounded) write(text []byte) error {
	if b.left >= 0 {
		text = text[:min(int64(len(text)), b.left)]
		b.left -= int64(len(text))
	}
	_, err := b.to.Write(text)
	return err
}

// dress puts the time before a line, or drops one that is too old.
func (q Query) dress(line []byte, at time.Time) []byte {
	if !q.since.IsZero() && at.Before(q.since) {
		return nil
	}
	if !q.timestamps {
		return line
	}
	return append([]byte(at.UTC().Format(time.RFC3339Nano)+" "), line...)
}

// start goes where the last tail lines begin. Logs are bounded, so they can be
// read whole.
func (q Query) start(file *os.File) (int64, error) {
	if q.tail < 0 {
		return 0, nil
	}
	raw, err := io.ReadAll(file)
	if err != nil {
		return 0, err
	}
	offset := int64(len(raw))
	if q.tail > 0 {
		offset -= int64(len(lastLines(raw, int(min(q.tail, maxLog)))))
	}
	return file.Seek(offset, io.SeekStart)
}

// index tells when the byte at an offset was written. It reads on as it is
// asked; offsets must not go down.
type index struct {
	path string
	raw  []byte
	last time.Time
}

func (x *index) at(offset int64) time.Time {
	if len(x.raw) < indexSize {
		x.reload()
	}
	for len(x.raw) >= indexSize && int64(binary.LittleEndian.Uint64(x.raw)) <= offset {
		x.last = time.Unix(0, int64(binary.LittleEndian.Uint64(x.raw[8:])))
		x.raw = x.raw[indexSize:]
	}
	return x.last
}

// reload takes up the entries that came since; the first line has always one.
func (x *index) reload() {
	all, err := os.ReadFile(x.path)
	if err != nil {
		return
	}
	if x.last.IsZero() {
		x.raw = all
		return
	}
	var mark [8]byte
	binary.LittleEndian.PutUint64(mark[:], uint64(x.last.UnixNano()))
	for ; len(all) >= indexSize; all = all[indexSize:] {
		if bytes.Equal(all[8:indexSize], mark[:]) {
			x.raw = all[indexSize:]
			return
		}
	}
}

const followPause = 100 * time.Millisecond

// follower reads a file that grows as long as live says so.
type follower struct {
	ctx   context.Context
	file  *os.File
	live  func() bool
	flush func()
}

// Read waits for more at the end of the file; one more look after the end of
// the container finds what it wrote last.
func (f *follower) Read(into []byte) (int, error) {
	for {
		live := f.live()
		n, err := f.file.Read(into)
		if n > 0 || err != io.EOF || !live {
			return n, err
		}
		f.flush()
		select {
		case <-f.ctx.Done():
			return 0, f.ctx.Err()
		case <-time.After(followPause):
		}
	}
}
