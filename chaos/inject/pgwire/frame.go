package pgwire

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
)

// Types of frames that tell something. All others are carried.
const (
	query    = 'Q' // from the client: a text, a unit by itself
	execute  = 'E' // from the client: of a prepared statement
	syncs    = 'S' // from the client: the end of a unit
	flush    = 'H' // from the client: answer what there is
	copyData = 'd' // from the client, and two more that end it
	copyDone = 'c'
	copyFail = 'f'
	ready    = 'Z' // from the server: the end of its answer to a unit
)

const (
	headSize = 5
	// longest bounds one frame, and what is held of one unit.
	longest = 64 << 20
)

var errTooLong = errors.New("a frame is too long")

// readStart reads the first message of a connection, which has no type.
func readStart(r io.Reader) ([]byte, error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	return readRest(r, head, binary.BigEndian.Uint32(head), 4)
}

// readFrame reads a message, its head included.
func readFrame(r *bufio.Reader) ([]byte, error) {
	head := make([]byte, headSize)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	return readRest(r, head, binary.BigEndian.Uint32(head[1:]), 4)
}

func readRest(r io.Reader, head []byte, size, counted uint32) ([]byte, error) {
	if size < counted || size > longest {
		return nil, errTooLong
	}
	frame := make([]byte, len(head)+int(size-counted))
	copy(frame, head)
	_, err := io.ReadFull(r, frame[len(head):])
	return frame, err
}

// words is the text of a query in small letters.
func words(frame []byte) string {
	return strings.ToLower(strings.TrimSpace(strings.TrimRight(string(frame[headSize:]), "\x00")))
}

// asQuery is a text as the client would send it.
func asQuery(sql string) []byte {
	raw, _ := (&pgproto3.Query{String: sql}).Encode(nil) // fails for texts of gigabytes
	return raw
}

// lostRace is how the server answers a COMMIT that came too late.
func lostRace() []byte {
	raw, _ := (&pgproto3.ErrorResponse{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: lostRaceCode,
		Message: "could not serialize access due to read/write dependencies among transactions"}).Encode(nil)
	return raw
}

const (
	lostRaceCode = "40001"
	// lostRaceNow lets the server itself end a statement with that code.
	lostRaceNow = "DO $$ BEGIN RAISE EXCEPTION 'could not serialize access due to concurrent update' USING ERRCODE = '" + lostRaceCode + "'; END $$"
)
