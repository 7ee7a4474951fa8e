package election

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/skein-project/skein/api/fault"
)

// participant is one raft with all that it stands on. One whose log could not
// be written is given up whole: what of it is on the disk, only a new one that
// reads the disk can tell, as after a crash.
type participant struct {
	raft    *raft.Raft
	stream  *stream
	trouble *trouble
	running chan struct{}  // closed when raft is there
	broken  chan struct{}  // closed when the log could not be written
	closers []func() error // closed in reverse
	stop    func() raft.Future

	once sync.Once
	why  error // what broke it
}

// join opens the log and takes part.
func (e *Elector) join() (*participant, error) {
	p := &participant{broken: make(chan struct{}), running: make(chan struct{}), trouble: &trouble{silent: map[raft.ServerID]bool{}}}
	if err := e.start(p); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func (e *Elector) start(p *participant) error {
	o, log := e.opts, hclogger(e.opts.Log)
	s, err := listen(o.Bind, o.Advertise, o.TLS, o.Timeout)
	if err != nil {
		return err
	}
	p.stream = s
	p.closers = append(p.closers, func() error { return ignoreClosed(s.Close()) })
	w, err := openLog(filepath.Join(o.Dir, "wal"), o.segment, log)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "open raft log in %s", o.Dir)
	}
	p.closers = append(p.closers, w.Close)
	snaps, err := raft.NewFileSnapshotStoreWithLogger(o.Dir, 2, log)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "raft snapshots in %s", o.Dir)
	}
	peers := &book{configured: map[raft.ServerID]raft.ServerAddress{}, agreed: p.agreed}
	for _, peer := range o.Peers {
		peers.configured[raft.ServerID(peer.ID)] = raft.ServerAddress(peer.Addr)
	}
	transport := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		ServerAddressProvider: peers, Logger: log, Stream: s, MaxPool: 2, Timeout: o.Election})
	p.closers = append(p.closers, transport.Close)

	used, err := raft.HasExistingState(w, w, snaps)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "read raft state in %s", o.Dir)
	}
	conf := e.config()
	conf.Logger = log
	d := &durable{WAL: w, stable: o.stable(w), broke: p.breaks}
	if p.raft, err = newRaft(conf, e.fences, d, snaps, transport); err != nil {
		return fault.Wrap(fault.Internal, err, "start raft")
	}
	d.running.Store(true)
	close(p.running)
	p.stop = sync.OnceValue(p.raft.Shutdown) // raft's second answer would wait for nothing
	p.closers = append(p.closers, func() error { return p.stop().Error() })
	unobserve := p.trouble.observe(p.raft)
	p.closers = append(p.closers, func() error { unobserve(); return nil })
	if used || !o.Bootstrap {
		return nil
	}
	return e.bootstrap(p.raft)
}

// newRaft gives the error of a term that cannot be stored, over which raft panics.
func newRaft(conf *raft.Config, f raft.FSM, d *durable, s raft.SnapshotStore, t raft.Transport) (r *raft.Raft, err error) {
	defer func() {
		if said := recover(); said != nil {
			err = fmt.Errorf("%v", said)
			if failed := d.failed.Load(); failed != nil {
				err = *failed
			}
		}
	}()
	return raft.NewRaft(conf, f, d, d, s, t)
}

// breaks notes that the log could not be written, for whoever waits for it.
func (p *participant) breaks(err error) {
	p.once.Do(func() {
		p.why = err
		close(p.broken)
	})
}

func (p *participant) isBroken() bool {
	select {
	case <-p.broken:
		return true
	default:
		return false
	}
}

func (p *participant) close() error {
	var list []error
	for i := len(p.closers) - 1; i >= 0; i-- {
		list = append(list, p.closers[i]())
	}
	p.closers = nil
	return errors.Join(list...)
}
