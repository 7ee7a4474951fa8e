package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/skein-project/skein/api/fault"
)

func valid() Admin {
	a := DefaultAdmin()
	a.Replica, a.State, a.Database.URL, a.ObjectStore.Root = "admin-0", "/state", "postgres://u:hunter2@h/d", "/store"
	a.Keys = Keys{"/ca.crt", "/ca.key", "/hmac", "/token"}
	a.Peers = []Peer{{"admin-0", "127.0.0.1:1", "127.0.0.1:2"}}
	return a
}

func TestPrecedence(t *testing.T) {
	file := filepath.Join(t.TempDir(), "skein-admin.yaml")
	write(t, file, "flyte: {grpc: '127.0.0.1:1', http: '127.0.0.1:2'}\nscheduler: {lease: 20s}\n")
	a := valid()
	err := Load(&a, Source{File: file, Prefix: AdminPrefix,
		Environ: []string{"SKEIN_ADMIN_FLYTE_HTTP=127.0.0.1:3", "SKEIN_ADMIN_FLYTE_PUBLIC_URL=http://a", "PATH=/bin"},
		Flags:   map[string]string{"flyte.publicURL": "http://b", "domains": "one, two"}})
	if err != nil {
		t.Fatal(err)
	}
	if a.Flyte.GRPC != "127.0.0.1:1" || a.Flyte.HTTP != "127.0.0.1:3" || a.Flyte.PublicURL != "http://b" ||
		a.Scheduler.Lease.Duration != 20*time.Second || a.Ops != DefaultAdmin().Ops || len(a.Domains) != 2 {
		t.Fatalf("file, environment and flags gave %+v", a)
	}
}

func TestBadConfiguration(t *testing.T) {
	for _, c := range []struct {
		name string
		file string
		env  string
		flag [2]string
		want string
	}{
		{"an unknown key in the file", "flyte: {grcp: x}", "", [2]string{}, "grcp"},
		{"an unknown variable", "", "SKEIN_ADMIN_FLYTE_GRCP=x", [2]string{}, "SKEIN_ADMIN_FLYTE_GRCP"},
		{"an unknown flag", "", "", [2]string{"flyte.grcp", "x"}, "flyte.grcp"},
		{"a bad address", "flyte: {grpc: nowhere}", "", [2]string{}, "flyte.grpc"},
		{"a life too short for a certificate", "federation: {certificate: 5s}", "", [2]string{}, "federation.certificate"},
		{"a bad duration", "", "SKEIN_ADMIN_SCHEDULER_LEASE=soon", [2]string{}, "SKEIN_ADMIN_SCHEDULER_LEASE"},
		{"a number that is none", "", "", [2]string{"database.maxConns", "many"}, "database.maxConns"},
		{"a lease below the suspect time", "scheduler: {lease: 4s}", "", [2]string{}, "scheduler.lease: 4s must be above scheduler.suspect (5s)"},
		{"a lease that two slow writes outlive", "scheduler: {lease: 10s, timeout: 5s}", "", [2]string{}, "scheduler.timeout: twice 5s must be below scheduler.lease (10s)"},
		{"a lease that drifts further than its margin", "", "SKEIN_ADMIN_SCHEDULER_LEASE=201s", [2]string{}, "scheduler.margin: 2s must be at least a hundredth of scheduler.lease (3m21s)"},
		{"a suspicion after one heartbeat", "", "", [2]string{"scheduler.suspect", "1s"}, "scheduler.suspect: must be at least 2s"},
		{"a replica that is not among the peers", "replica: admin-9", "", [2]string{}, "peers"},
		{"an object store's URL that is none", "objectStore: {endpoint: 'localhost:9000'}", "", [2]string{}, "objectStore.endpoint"},
		{"an object store that may never be silent", "objectStore: {timeout: 0s}", "", [2]string{}, "objectStore.timeout"},
		{"a public URL that is none", "flyte: {publicStoreURL: store}", "", [2]string{}, "flyte.publicStoreURL"},
		{"a relative folder", "state: here", "", [2]string{}, "state"},
		{"an unknown level", "telemetry: {level: loud}", "", [2]string{}, "telemetry.level"},
		{"a file that is no YAML", "a: [", "", [2]string{}, "skein-admin.yaml"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, src := valid(), Source{Prefix: AdminPrefix}
			if c.file != "" {
				src.File = filepath.Join(t.TempDir(), "skein-admin.yaml")
				write(t, src.File, c.file)
			}
			if c.env != "" {
				src.Environ = []string{c.env}
			}
			if c.flag[0] != "" {
				src.Flags = map[string]string{c.flag[0]: c.flag[1]}
			}
			err := Load(&a, src)
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want an Invalid error that names %q", err, c.want)
			}
		})
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	p := DefaultPropeller()
	err := Load(&p, Source{})
	for _, key := range []string{"instance", "state", "ca", "objectStore.root", "hubs"} {
		if err == nil || !strings.Contains(err.Error(), key+":") {
			t.Errorf("%s is not named in %v", key, err)
		}
	}
}

func TestAGraceThatOutlivesALease(t *testing.T) {
	for grace, ok := range map[string]bool{"0s": false, "1s": true, "5s": true, lowestLease.String(): false} {
		p := DefaultPropeller()
		err := Load(&p, Source{Prefix: PropellerPrefix, Environ: []string{"SKEIN_PROPELLER_STRICT_GRACE=" + grace}})
		if named := strings.Contains(fmt.Sprint(err), "strictGrace: must be from 1s"); named == ok {
			t.Errorf("a grace of %s: %v", grace, err)
		}
	}
}

func TestSecretsAreMasked(t *testing.T) {
	a := valid()
	out, err := Print(&a)
	if err != nil || strings.Contains(out, "hunter2") || !strings.Contains(out, "url: '***'") {
		t.Fatalf("printed %s, %v", out, err)
	}
}

func TestEveryFieldHasAVariable(t *testing.T) {
	a := DefaultAdmin()
	for _, want := range []string{"SKEIN_ADMIN_REPLICA\n", "SKEIN_ADMIN_RAFT_LEADER_LEASE\n", "SKEIN_ADMIN_KEYS_UPLOAD_HMAC\n", "SKEIN_ADMIN_TASKS_DEFAULT_CPU\n"} {
		if out := PrintEnv(&a, AdminPrefix); !strings.Contains(out, want) {
			t.Errorf("%q is missing in %s", want, out)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSavedIsLoaded(t *testing.T) {
	want, got := valid(), DefaultAdmin()
	path := filepath.Join(t.TempDir(), "c.yaml")
	if err := Save(path, &want); err != nil {
		t.Fatal(err)
	}
	if err := Load(&got, Source{File: path}); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("loaded %+v, saved %+v", got, want)
	}
}
