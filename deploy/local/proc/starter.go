package proc

import (
	"os/exec"
	"runtime"
	"sync"
)

// starter hands functions to the one OS thread that starts every child of this process. The thread is locked to its
// goroutine, which never ends: it dies with the process and with nothing else, and so does Pdeathsig strike.
var starter = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
})

// Start starts cmd as this package starts its own children: from the thread that lives as long as the process. Callers
// that set Pdeathsig on a command of their own must start it through here; plain exec.Cmd.Start may run on a thread
// that the Go runtime ends at any time, and the child with it.
func Start(cmd *exec.Cmd) error {
	done := make(chan error, 1)
	starter() <- func() { done <- cmd.Start() }
	return <-done
}
