package election

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
	walfs "github.com/hashicorp/raft-wal/fs"
	"github.com/hashicorp/raft-wal/metadb"
	walsegment "github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"
)

const (
	// segment is the size of one file of the log; an entry has some sixty bytes.
	segment = 1 << 20
	// slack is allocated beyond it, for the last entries and their index: a full
	// disk then refuses a new file, and never half of a write.
	slack = 256 << 10
)

// openLog opens the log. One that was sealed without a file to follow it, by a
// crash or a full disk between the two, would refuse every entry for ever; it
// is written anew.
func openLog(dir string, size int, log hclog.Logger) (*wal.WAL, error) {
	f, meta := &filer{SegmentFiler: walsegment.NewFiler(dir, files{walfs.New()}), dir: dir}, &metadb.BoltMetaDB{}
	w, err := wal.Open(dir, wal.WithLogger(log), wal.WithSegmentSize(size), wal.WithSegmentFiler(f), wal.WithMetaStore(meta))
	if err != nil {
		return nil, errors.Join(err, meta.Close()) // or its lock would stay, and the next try wait for it
	}
	if !f.sealed {
		return w, nil
	}
	if err := rewrite(w); err != nil {
		return nil, errors.Join(fmt.Errorf("write the sealed log anew: %w", err), w.Close())
	}
	return w, nil
}

// rewrite moves all entries into a new file. They are at most some thousands,
// and the new file has room for them before the old ones go. A crash between
// costs this replica its entries, which the leader sends again; its vote stays.
func rewrite(w *wal.WAL) error {
	first, err := w.FirstIndex()
	if err != nil {
		return err
	}
	last, err := w.LastIndex()
	if err != nil {
		return err
	}
	var entries []*raft.Log
	for i := first; i > 0 && i <= last; i++ {
		entry := &raft.Log{}
		if err := w.GetLog(i, entry); err != nil {
			return err
		}
		entries = append(entries, entry)
	}
	if err := w.DeleteRange(first, last); err != nil {
		return err
	}
	return w.StoreLogs(entries)
}

// filer notes whether the newest file is sealed.
type filer struct {
	types.SegmentFiler
	dir    string
	sealed bool
}

// RecoverTail opens the newest file. An empty one is as good as none.
func (f *filer) RecoverTail(info types.SegmentInfo) (types.SegmentWriter, error) {
	name := filepath.Join(f.dir, walsegment.FileName(info))
	if stat, err := os.Stat(name); err == nil && stat.Size() == 0 {
		if err := os.Remove(name); err != nil {
			return nil, err
		}
		return nil, fs.ErrNotExist
	}
	w, err := f.SegmentFiler.RecoverTail(info)
	if err != nil {
		return nil, err
	}
	f.sealed, _, err = w.Sealed()
	return w, err
}

// files makes files whole or not at all.
type files struct{ *walfs.FS }

// Create makes a file of the size and some more.
func (f files) Create(dir, name string, size uint64) (types.WritableFile, error) {
	w, err := f.FS.Create(dir, name, size+slack)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		_ = os.Remove(filepath.Join(dir, name)) // what it left would be in the way of the next try
	}
	return w, err
}
