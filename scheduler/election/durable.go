package election

import (
	"runtime"
	"sync/atomic"

	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
)

// durable is the log, with somebody who learns that it could not be written.
//
// Left to itself, raft panics over a term that it cannot store, which ends the
// process and all that it serves; and the log never recovers from a new segment
// that it could not make.
type durable struct {
	*wal.WAL
	stable  raft.StableStore // the log, too
	broke   func(error)
	running atomic.Bool // raft's own goroutine is the one that stores
	failed  atomic.Pointer[error]
}

func (d *durable) noted(err error) error {
	if err != nil {
		d.failed.CompareAndSwap(nil, &err)
		d.broke(err)
	}
	return err
}

// StoreLog appends one entry.
func (d *durable) StoreLog(l *raft.Log) error { return d.noted(d.WAL.StoreLog(l)) }

// StoreLogs appends entries.
func (d *durable) StoreLogs(l []*raft.Log) error { return d.noted(d.WAL.StoreLogs(l)) }

// DeleteRange removes entries from one end.
func (d *durable) DeleteRange(from, to uint64) error { return d.noted(d.WAL.DeleteRange(from, to)) }

// Set stores a small value, such as whom this replica has voted for.
func (d *durable) Set(key, value []byte) error { return d.orEnd(d.stable.Set(key, value)) }

// SetUint64 stores a number, such as the term.
func (d *durable) SetUint64(key []byte, value uint64) error {
	return d.orEnd(d.stable.SetUint64(key, value))
}

// orEnd ends raft's goroutine in place of an error, over which it would end
// the process. Its deferred calls run; the participant is given up.
func (d *durable) orEnd(err error) error {
	if d.noted(err) != nil && d.running.Load() {
		runtime.Goexit()
	}
	return err
}
