package store_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
)

// plain reports whether the wire can be read along: not with TLS.
func plain(t *testing.T, url string) bool {
	t.Helper()
	config, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	return config.TLSConfig == nil
}
