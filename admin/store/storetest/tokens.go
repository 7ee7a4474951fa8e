package storetest

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/skein-project/skein/api/fault"
)

var tokenCases = []testCase{
	{"a token is bound to the first key, and gives it the same certificate again", func(w *world) {
		w.cluster("east")
		w.ok(w.CreateToken(w.ctx, []byte("hash"), "east", began.Add(time.Hour)))
		w.fails(w.CreateToken(w.ctx, []byte("hash"), "west", began), fault.Conflict)
		made := 0
		issue := func(cluster string, _ uint64) ([]byte, error) {
			made++
			return []byte(fmt.Sprintf("certificate %d of %s", made, cluster)), nil
		}
		for range 2 {
			cluster, certificate, err := w.ConsumeToken(w.ctx, []byte("hash"), []byte("key"), "i", issue, began)
			w.ok(err)
			w.equal([]string{cluster, string(certificate)}, []string{"east", "certificate 1 of east"})
		}
		_, certificate, err := w.ConsumeToken(w.ctx, []byte("hash"), []byte("other"), "i", issue, began)
		w.fails(err, fault.Forbidden)
		w.equal(len(certificate), 0)
		w.equal(made, 1)
	}},
	{"an unknown or expired token is refused", func(w *world) {
		w.cluster("east")
		w.ok(w.CreateToken(w.ctx, []byte("hash"), "east", began))
		issue := func(string, uint64) ([]byte, error) { w.Error("a certificate was issued"); return nil, nil }
		_, _, err := w.ConsumeToken(w.ctx, []byte("hash"), []byte("key"), "i", issue, began)
		w.fails(err, fault.Unauthorized)
		_, _, err = w.ConsumeToken(w.ctx, []byte("none"), []byte("key"), "i", issue, began)
		w.fails(err, fault.Unauthorized)
	}},
	{"a token survives an issuer's failure", func(w *world) {
		w.cluster("east")
		w.ok(w.CreateToken(w.ctx, []byte("hash"), "east", began.Add(time.Hour)))
		_, _, err := w.ConsumeToken(w.ctx, []byte("hash"), []byte("key"), "i",
			func(string, uint64) ([]byte, error) { return nil, errors.New("no CA") }, began)
		w.fails(err, fault.Internal)
		_, _, err = w.ConsumeToken(w.ctx, []byte("hash"), []byte("other"), "i", func(string, uint64) ([]byte, error) { return []byte("c"), nil }, began)
		w.ok(err)
	}},
	{"of two keys at once, one gets the token", func(w *world) {
		w.cluster("east")
		w.ok(w.CreateToken(w.ctx, []byte("hash"), "east", began.Add(time.Hour)))
		var group sync.WaitGroup
		errs := make([]error, 2)
		for i, ports := range []Ports{w.Ports, w.Other} {
			group.Go(func() {
				_, _, errs[i] = ports.ConsumeToken(w.ctx, []byte("hash"), []byte{byte(i)}, "i",
					func(string, uint64) ([]byte, error) { return []byte("c"), nil }, began)
			})
		}
		group.Wait()
		if (errs[0] == nil) == (errs[1] == nil) {
			w.Fatalf("got errors %v and %v, want exactly one", errs[0], errs[1])
		}
		w.fails(errors.Join(errs...), fault.Forbidden)
	}},
	{"a refused use of a known token is audited, and an unknown one is not", func(w *world) {
		issue := func(string, uint64) ([]byte, error) { return []byte("c"), nil }
		w.cluster("east")
		w.ok(w.CreateToken(w.ctx, []byte("used"), "east", began.Add(time.Hour)))
		w.ok(w.CreateToken(w.ctx, []byte("late"), "east", began))
		use := func(hash, key string) error {
			_, _, err := w.ConsumeToken(w.ctx, []byte(hash), []byte(key), "i", issue, began)
			return err
		}
		w.ok(use("used", "key"))
		w.fails(use("used", "another"), fault.Forbidden)
		w.fails(use("late", "key"), fault.Unauthorized)
		w.fails(use("unknown", "key"), fault.Unauthorized)
		list, err := w.ListAudit(w.ctx, "cluster/east", time.Time{}, 10)
		w.equal(len(must(w, list, err)), 2)
		w.equal([]string{list[0].Action, list[1].Action, list[0].Actor}, []string{"token.use.refused", "token.use.refused", "member/east/i"})
	}},
}
