package namespace

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// raiseLoopback brings lo of the thread's network up; the kernel gives it 127.0.0.1 then.
func raiseLoopback() error {
	return withSocket(func(socket int) error { return raise(socket, "lo") })
}

// AddAddress gives lo of this process's network a further IPv4 address, under a label of at most 15 bytes that begins
// with "lo:". Outside of a network namespace of ours it is refused: the machine's network is not ours to change.
func AddAddress(label string, address netip.Addr) error {
	if !Inside() {
		return errors.New("not in a network namespace of ours: the machine's own network is left alone")
	}
	err := withSocket(func(socket int) error {
		request, err := unix.NewIfreq(label)
		if err != nil {
			return err
		}
		bytes := address.As4()
		if err := request.SetInet4Addr(bytes[:]); err != nil {
			return err
		}
		if err := unix.IoctlIfreq(socket, unix.SIOCSIFADDR, request); err != nil {
			return err
		}
		return raise(socket, label)
	})
	if err != nil {
		return fmt.Errorf("add address %s to lo: %w", address, err)
	}
	return nil
}

func raise(socket int, name string) error {
	request, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, request)
}

func withSocket(f func(socket int) error) error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(socket) }()
	return f(socket)
}
