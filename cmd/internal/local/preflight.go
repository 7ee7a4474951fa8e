package local

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/deploy/local/database"
	"github.com/skein-project/skein/deploy/local/machine"
	"github.com/skein-project/skein/deploy/local/proc"
	"github.com/skein-project/skein/deploy/local/tools"
)

// stateRoom is what a federation writes in its first hours: logs ahead of
// three etcds and one database, and their own logs.
const stateRoom = 1e9

// preflight tells everything that is wrong with this machine at once, before
// the first build takes minutes and before anything is started.
func (f *Federation) preflight(ctx context.Context) error {
	if runtime.GOOS != "linux" {
		return fault.E(fault.Unsupported, "a federation on one machine needs Linux: this is %s", runtime.GOOS)
	}
	ca := filepath.Join(f.folder.Path, "keys", "ca.crt")
	return errors.Join(
		machine.Clock(time.Now(), ca),
		machine.Space(machine.Room{Folder: f.folder.Path, Bytes: stateRoom, For: "database, clusters and logs", Variable: proc.StateVariable}),
		database.Check(ctx),
		tools.Check(ctx),
	)
}
