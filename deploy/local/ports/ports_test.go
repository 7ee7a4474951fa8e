package ports_test

import (
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/skein-project/skein/deploy/local/ports"
)

func TestFreePortsAreDistinctAndFree(t *testing.T) {
	free, err := ports.Free(50)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, port := range free {
		if seen[port] {
			t.Errorf("port %d twice", port)
		}
		seen[port] = true
	}
	if err := ports.Check(free...); err != nil {
		t.Error(err)
	}
}

func TestBookRemembers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "ports.json")
	read := func() (ports [2]int) {
		book := open(t, path)
		for i, name := range []string{"database", "api"} {
			port, err := book.Port(name)
			if err != nil {
				t.Fatal(err)
			}
			ports[i] = port
		}
		return ports
	}
	first, second := read(), read()
	if first != second || first[0] == first[1] {
		t.Errorf("first %v, then %v", first, second)
	}
	if err := open(t, path).Set("other", first[0]); err == nil {
		t.Error("two names have one port")
	}
}

func open(t *testing.T, path string) *ports.Book {
	t.Helper()
	book, err := ports.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return book
}

func TestCheckNamesThePortInUse(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	port := listener.Addr().(*net.TCPAddr).Port
	if err := ports.Check(port); err == nil || !strings.Contains(err.Error(), strconv.Itoa(port)) {
		t.Errorf("%v", err)
	}
}

// TestSetUpsBesideEachOtherChooseApart: before anybody listens.
func TestSetUpsBesideEachOtherChooseApart(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	seen := map[int]bool{}
	for range 40 {
		free, err := ports.Free(30)
		if err != nil {
			t.Fatal(err)
		}
		for _, port := range free {
			if seen[port] {
				t.Fatalf("port %d was given to two", port)
			}
			seen[port] = true
		}
	}
}
