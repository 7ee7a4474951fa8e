package database

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/skein-project/skein/deploy/local/proc"
)

// orphanWait bounds how long a start waits for the children of a killed server to notice its death.
const orphanWait = 10 * time.Second

// preparePostgres makes the data folder if it is not there and says how to start the server on it.
func preparePostgres(ctx context.Context, found binaries, o Options) (server, error) {
	account, err := unprivileged()
	if err != nil {
		return server{}, err
	}
	if err := reachable(o.Dir, account); err != nil {
		return server{}, err
	}
	password, err := ensurePassword(filepath.Join(o.Dir, "password"))
	if err != nil {
		return server{}, fmt.Errorf("make the database's password: %w", err)
	}
	data := filepath.Join(o.Dir, "data")
	if err := ensureData(ctx, found, data, o.NoSync, password, account); err != nil {
		return server{}, fmt.Errorf("make the database's folder %s: %w", data, err)
	}
	settings := []string{
		"listen_addresses=" + loopback, "unix_socket_directories=", "max_connections=200", "shared_buffers=128MB",
		"max_wal_size=1GB", "jit=off", "password_encryption=scram-sha-256", "timezone=UTC", "log_timezone=UTC",
		"logging_collector=off", "log_min_messages=warning", "dynamic_shared_memory_type=" + sharedMemory("/dev/shm"),
	}
	if o.NoSync {
		// A commit is still written before it is acknowledged: a killed server loses nothing, only a crashed machine does.
		settings = append(settings, "fsync=off", "full_page_writes=off")
	}
	args := []string{"-D", data, "-p", strconv.Itoa(o.Port)}
	for _, setting := range settings {
		args = append(args, "-c", setting)
	}
	return server{
		engine: "postgres",
		url:    serverURL(url.UserPassword(name, password), o.Port, "postgres", "sslmode=disable"),
		spec: proc.Spec{
			Path: filepath.Join(found.postgresDir, "postgres"), Args: args, User: account,
			Stop:   syscall.SIGINT, // ends sessions; SIGTERM would wait for them to end by themselves
			Before: func(ctx context.Context) error { return errors.Join(awaitOrphans(ctx, data), unlock(data)) },
		},
	}, nil
}

// sharedMemory is where parallel workers share memory: files in the data folder where the system has no place for it,
// as in some containers.
func sharedMemory(system string) string {
	var fs syscall.Statfs_t
	const readOnly, least = 0x1, 8 << 20
	if err := syscall.Statfs(system, &fs); err != nil || fs.Flags&readOnly != 0 || fs.Bavail*uint64(fs.Bsize) < least {
		return "mmap"
	}
	return "posix"
}

// unprivileged returns who PostgreSQL runs as: nil, for ourselves, unless we are root.
func unprivileged() (*proc.User, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		if account, err := user.Lookup(name); err == nil {
			uid, _ := strconv.ParseUint(account.Uid, 10, 32)
			gid, _ := strconv.ParseUint(account.Gid, 10, 32)
			return &proc.User{UID: uint32(uid), GID: uint32(gid)}, nil
		}
	}
	return nil, errors.New("PostgreSQL refuses to run as root, and there is no user postgres or nobody to run it as")
}

// reachable reports which folder keeps the account from reaching the path.
func reachable(path string, account *proc.User) error {
	if account == nil {
		return nil
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	for {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		owner, _ := info.Sys().(*syscall.Stat_t)
		mayEnter := info.Mode()&0o001 != 0 || owner != nil && owner.Uid == account.UID && info.Mode()&0o100 != 0
		if !mayEnter {
			return fmt.Errorf("PostgreSQL, which refuses to run as root and runs as user %d, cannot enter %s (mode %v): "+
				"use a state folder elsewhere (SKEIN_STATE=/var/tmp/…) or chmod o+x it", account.UID, path, info.Mode().Perm())
		}
		if path == "/" {
			return nil
		}
		path = filepath.Dir(path)
	}
}

// ensurePassword reads the password, or makes it.
func ensurePassword(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(data)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	password := rand.Text()
	if err := os.WriteFile(path+".new", []byte(password+"\n"), 0o600); err != nil {
		return "", err
	}
	return password, os.Rename(path+".new", path)
}

// ensureData runs initdb beside the data folder's place and renames the result, so that what is there is whole.
func ensureData(ctx context.Context, found binaries, data string, noSync bool, password string, account *proc.User) error {
	if _, err := os.Stat(data); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	temporary, secret := data+".new", data+".password"
	defer os.Remove(secret)
	if err := errors.Join(os.RemoveAll(temporary), os.WriteFile(secret, []byte(password), 0o600), os.Mkdir(temporary, 0o700)); err != nil {
		return err
	}
	if account != nil {
		uid, gid := int(account.UID), int(account.GID)
		if err := errors.Join(os.Chown(temporary, uid, gid), os.Chown(secret, uid, gid)); err != nil {
			return err
		}
	}
	cmd := exec.Command(filepath.Join(found.postgresDir, "initdb"), "-D", temporary, "--username="+name, "--pwfile="+secret,
		"--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-instructions")
	if noSync {
		cmd.Args = append(cmd.Args, "--no-sync")
	}
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
	cmd.Dir = "/"
	cmd.SysProcAttr = proc.Attributes(account)
	if out, err := output(ctx, cmd); err != nil {
		return fmt.Errorf("initdb: %w:\n%s", err, out)
	}
	return os.Rename(temporary, data)
}

// output runs a short command to its end, or kills its group when ctx ends.
func output(ctx context.Context, cmd *exec.Cmd) (string, error) {
	var text strings.Builder
	cmd.Stdout, cmd.Stderr = &text, &text
	if err := proc.Start(cmd); err != nil {
		return "", err
	}
	stop := context.AfterFunc(ctx, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	defer stop()
	err := cmd.Wait()
	return text.String(), err
}

// awaitOrphans waits until no process works in the data folder: the children of a killed server end by themselves
// within moments, and until then a new one refuses to start.
func awaitOrphans(ctx context.Context, data string) error {
	deadline := time.Now().Add(orphanWait)
	for {
		pid := worksIn(data)
		if pid == "" {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("process %s is still at work in %s: another copy with the same state?", pid, data)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// unlock removes the lock file of a server that was killed, once nobody works in the data folder: a new server takes a
// dead one that nobody has reaped yet, or a stranger with its number, for one that runs. We hold the state folder.
func unlock(data string) error {
	if _, err := os.Readlink("/proc/self/cwd"); err != nil || worksIn(data) != "" {
		return nil // it cannot be known: PostgreSQL's own check has to do
	}
	if err := os.Remove(filepath.Join(data, "postmaster.pid")); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// worksIn returns the number of a process whose working folder is the given one, or nothing.
func worksIn(dir string) string {
	links, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && target == dir {
			return filepath.Base(filepath.Dir(link))
		}
	}
	return ""
}
