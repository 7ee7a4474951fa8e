package pgwire

import (
	"bufio"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/skein-project/skein/chaos/inject"
)

// conn is one connection of a client, and the one to the server behind it.
type conn struct {
	troubles       *inject.Troubles
	client, server net.Conn

	open  atomic.Int64 // units that the server has not answered
	state atomic.Int32 // of the last answer: I, T or E
	next  atomic.Int32 // what becomes of the answer under way

	// Of the transaction under way; of requests only.
	losing bool // it is to lose at a statement or at COMMIT
	early  bool // at a statement
}

// What becomes of an answer.
const (
	carry   int32 = iota
	replace       // the client is told that it lost
	swallow       // the connection ends instead
)

// State of the server between units.
const idle, inside = 'I', 'T'

// end ends both connections; it may be called again.
func (c *conn) end() { _, _ = c.client.Close(), c.server.Close() }

// requests carries what the client asks for, a unit at a time.
func (c *conn) requests() {
	c.open.Store(1) // the server answers the start as it does a unit
	start, err := readStart(c.client)
	if err != nil || c.send(start) != nil {
		return
	}
	r := bufio.NewReader(c.client)
	var unit []byte
	runs := false
	for {
		frame, err := readFrame(r)
		if err != nil {
			return
		}
		switch kind := frame[0]; {
		case kind == query:
			if len(unit) > 0 { // of a client that needs no answer in between
				err = c.send(unit)
			}
			if err != nil || !c.unit(frame, words(frame), true) {
				return
			}
			unit, runs = nil, false
		case kind == syncs:
			if !c.unit(append(unit, frame...), "", runs) {
				return
			}
			unit, runs = nil, false
		case strings.IndexByte(handshake, kind) >= 0, len(unit)+len(frame) > longest:
			if c.send(append(unit, frame...)) != nil {
				return
			}
			unit = nil
		default:
			unit, runs = append(unit, frame...), runs || kind == execute
		}
	}
}

// handshake are frames that wait for no end of a unit: passwords, copies, and
// what asks for an answer in between.
const handshake = "pX" + string(flush) + string(copyData) + string(copyDone) + string(copyFail)

func (c *conn) send(frames []byte) error {
	_, err := c.server.Write(frames)
	return err
}

// fate is what befalls a unit.
type fate int

const (
	carried   fate = iota
	loses          // it loses its race now
	losesLast      // its transaction does, at COMMIT
	unheard        // the connection ends before the server hears of it
	untold         // the connection ends after the server has done it
)

// unit carries one unit, or what becomes of it; false ends the connection. Text
// is that of a plain query; runs says that it does something.
func (c *conn) unit(frames []byte, text string, runs bool) bool {
	alone := c.open.Add(1) == 1 // else the answer under way is another's
	if alone && runs {
		switch c.draw(text) {
		case loses:
			frames = asQuery(lostRaceNow)
		case losesLast:
			c.next.Store(replace)
			frames = asQuery("rollback")
		case unheard:
			return false
		case untold:
			c.next.Store(swallow)
		}
	}
	return c.send(frames) == nil
}

// draw says what befalls a unit. Whether a transaction loses is drawn when it
// begins.
func (c *conn) draw(text string) fate {
	at := c.state.Load()
	switch {
	case begins(text):
		c.losing, c.early = c.troubles.Draw(Lose) != "", rand.N(2) == 0
	case text == "rollback":
		c.losing = false
	case at == inside && c.losing && text == "commit":
		c.losing = false
		return losesLast
	case at == inside && c.losing && c.early:
		c.losing = false
		return loses
	case at == idle && text == "" && c.troubles.Draw(Lose) != "":
		return loses
	case at == inside && text == "commit", at == idle && text == "":
		return c.drawCut()
	}
	return carried
}

func (c *conn) drawCut() fate {
	switch {
	case c.troubles.Draw(Cut) == "":
		return carried
	case rand.N(2) == 0:
		return unheard
	}
	return untold
}

func begins(text string) bool {
	return text == "begin" || strings.HasPrefix(text, "begin ") || strings.HasPrefix(text, "start transaction")
}

// answers carries what the server says.
func (c *conn) answers() {
	r := bufio.NewReader(c.server)
	w := bufio.NewWriter(c.client)
	for {
		frame, err := readFrame(r)
		if err != nil {
			return
		}
		end := frame[0] == ready && len(frame) > headSize
		switch c.next.Load() {
		case swallow:
			if end {
				return
			}
			continue
		case replace:
			if !end {
				continue
			}
			frame = slices.Concat(lostRace(), frame)
		}
		if end {
			c.next.Store(carry)
			c.state.Store(int32(frame[len(frame)-1]))
			c.open.Add(-1)
		}
		if _, err := w.Write(frame); err != nil {
			return
		}
		if r.Buffered() == 0 && w.Flush() != nil {
			return
		}
	}
}
