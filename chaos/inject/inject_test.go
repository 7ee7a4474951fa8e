package inject_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/chaos/inject"
)

// counter answers each line with its number, on any connection.
func counter(t *testing.T) (address string, lines func() int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	seen := make(chan int, 1)
	seen <- 0
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				for s := bufio.NewScanner(c); s.Scan(); {
					n := <-seen + 1
					seen <- n
					fmt.Fprintln(c, n)
				}
				c.Close()
			}()
		}
	}()
	return l.Addr().String(), func() int { n := <-seen; seen <- n; return n }
}

// ask sends a line and waits for the answer.
func ask(c net.Conn, patience time.Duration) (string, error) {
	if _, err := fmt.Fprintln(c, "?"); err != nil {
		return "", err
	}
	_ = c.SetReadDeadline(time.Now().Add(patience))
	return bufio.NewReader(c).ReadString('\n')
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

const soon, never = 5 * time.Second, 300 * time.Millisecond

func TestFaults(t *testing.T) {
	for _, tc := range []struct {
		kind          inject.Kind
		arrives, back bool // what is sent, and its answer
		refused       bool // a new connection
	}{
		{inject.Cut, false, false, true},
		{inject.Hole, false, false, false},
		{inject.Up, false, false, false},
		{inject.Down, true, false, false},
		{inject.Slow, true, true, false},
	} {
		t.Run(string(tc.kind), func(t *testing.T) {
			links := inject.New()
			defer links.Close()
			to, lines := counter(t)
			address, err := links.Through("a/b", to)
			if err != nil {
				t.Fatal(err)
			}
			c := dial(t, address)
			if _, err := ask(c, soon); err != nil {
				t.Fatalf("a healthy link: %v", err)
			}
			if err := links.Do("a/*", inject.Fault{Kind: tc.kind, Delay: 100 * time.Millisecond}); err != nil {
				t.Fatal(err)
			}
			patience := never
			if tc.back {
				patience = soon
			}
			began := time.Now()
			_, err = ask(c, patience)
			if (err == nil) != tc.back {
				t.Errorf("answered: %v, want %v", err, tc.back)
			}
			if !tc.back && !tc.refused && !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the connection should hang, and got %v", err)
			}
			if tc.kind == inject.Slow && time.Since(began) < 100*time.Millisecond {
				t.Error("nothing was late")
			}
			if got := lines() == 2; got != tc.arrives {
				t.Errorf("arrived: %v, want %v", got, tc.arrives)
			}
			if n, err := net.DialTimeout("tcp", address, soon); (err != nil) != tc.refused {
				t.Errorf("a new connection: %v, want it refused: %v", err, tc.refused)
			} else if err == nil {
				n.Close()
			}
			if err := links.Heal("*/*"); err != nil {
				t.Fatal(err)
			}
			if _, err := ask(dial(t, address), soon); err != nil {
				t.Errorf("after healing: %v", err)
			}
		})
	}
}

func TestNames(t *testing.T) {
	links := inject.New()
	defer links.Close()
	to, _ := counter(t)
	first, err := links.Through("a/b", to)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := links.Through("a/b", to); err != nil || again != first {
		t.Errorf("the same link again: %s, %v", again, err)
	}
	if _, err := links.Through("a/b", "127.0.0.1:1"); !fault.Is(err, fault.Conflict) {
		t.Errorf("the same name to another address: %v", err)
	}
	if err := links.Do("c/*", inject.Fault{Kind: inject.Cut}); !fault.Is(err, fault.Invalid) {
		t.Errorf("a pattern that matches nothing: %v", err)
	}
	if err := links.Do("a/*", inject.Fault{Kind: "bend"}); !fault.Is(err, fault.Invalid) {
		t.Errorf("an unknown fault: %v", err)
	}
}
