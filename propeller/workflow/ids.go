package workflow

import (
	"encoding/base32"
	"fmt"
	"hash"
	"hash/fnv"
	"strconv"
	"strings"

	"github.com/skein-project/skein/api/flow"
)

// Lengths that Flyte gives to names (contract 12.6, 12.7).
const (
	maxNodeID     = 20
	maxObjectName = 50
)

var encoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz123456").WithPadding(base32.NoPadding)

// UniqueNodeID is the id of a node inside the sub-workflow that a parent's
// attempt runs: "parent-attempt-node", or a hash of it if that is too long.
func UniqueNodeID(parent string, attempt int, node string) string {
	return fixedLength(maxNodeID, fnv.New32a(), parent, strconv.Itoa(attempt), node)
}

// ObjectName is the name of what runs one attempt. It is a DNS label and the
// same for ever, so that a repeat finds what was made before.
func ObjectName(execution string, epoch flow.Epoch, node string, attempt int) string {
	parts := []string{execution}
	if mark := EpochMark(epoch); mark != "" {
		parts = append(parts, mark)
	}
	parts = append(parts, node, strconv.Itoa(attempt))
	name := fixedLength(maxObjectName, fnv.New64a(), parts...)
	if !dnsLabel(name) {
		return hashed(fnv.New64a(), name)
	}
	return name
}

// EpochMark tells the names and folders of an epoch from those of the first:
// "e2", or from the second era on, where the same number may come again, "e2-r2".
// It is empty for the first.
func EpochMark(e flow.Epoch) string {
	switch {
	case e.Era > 1:
		return fmt.Sprintf("e%d-r%d", e.N, e.Era)
	case e.N > 1:
		return fmt.Sprintf("e%d", e.N)
	}
	return ""
}

// Folder is the part of a folder in the object store that belongs to an epoch.
func Folder(prefix string, e flow.Epoch) string {
	if mark := EpochMark(e); mark != "" {
		return strings.TrimRight(prefix, "/") + "/" + mark
	}
	return prefix
}

func fixedLength(limit int, h hash.Hash, parts ...string) string {
	s := strings.Join(parts, "-")
	if len(s) <= limit {
		return s
	}
	return hashed(h, s)
}

// A leading letter keeps the result a DNS label.
func hashed(h hash.Hash, s string) string {
	_, _ = h.Write([]byte(s)) // a hash never fails
	return "f" + encoding.EncodeToString(h.Sum(nil))
}

func dnsLabel(s string) bool {
	for i, c := range []byte(s) {
		alnum := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		if !alnum && (c != '-' || i == 0 || i == len(s)-1) {
			return false
		}
	}
	return s != ""
}

// rawFolder spreads raw output over 1296 folders, as object stores like it.
func rawFolder(prefix, object string) string {
	const digits = "0123456789abcdefghijklmnopqrstuvwxyz"
	h := fnv.New32a()
	_, _ = h.Write([]byte(object)) // a hash never fails
	n := h.Sum32() % (36 * 36)
	return fmt.Sprintf("%s/%c%c/%s", strings.TrimRight(prefix, "/"), digits[n/36], digits[n%36], object)
}
