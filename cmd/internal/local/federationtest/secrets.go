package federationtest

import (
	"encoding/base64"
	"encoding/pem"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skein-project/skein/cmd/internal/local"
	"github.com/skein-project/skein/deploy/local/localtest"
)

// kubeconfig is how credentials begin in one: a PEM's first bytes, in base64.
var kubeconfig = base64.StdEncoding.EncodeToString([]byte("-----BEGI"))

// NoSecrets (I67) demands that no row of any table holds a private key that is in
// a file below the federation's state or the folders (the authority's, members',
// clusters'; as PEM, as DER, or as a kubeconfig has it), the operator's token, or
// one of the tokens.
func NoSecrets(t testing.TB, f *local.Federation, tokens []string, folders ...string) {
	t.Helper()
	client, err := f.Client()
	if err != nil {
		t.Fatal(err)
	}
	operator, err := os.ReadFile(client.TokenFile)
	if err != nil {
		t.Fatal(err)
	}
	needles := append([]string{strings.TrimSpace(string(operator)), "PRIVATE KEY", kubeconfig}, tokens...)
	for _, dir := range append(folders, f.State()) {
		keys := privateKeys(dir)
		if len(keys) == 0 {
			t.Errorf("no private key was found in %s: nothing would be noticed", dir)
		}
		needles = append(needles, keys...)
	}
	if found := localtest.Secrets(t, f.Database.URL, needles); len(found) > 0 {
		t.Errorf("the database holds secrets in %v", found)
	}
}

// privateKeys are the bodies of all keys below a folder.
func privateKeys(dir string) (needles []string) {
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil //nolint:nilerr // what went away while we looked holds no key
		}
		info, err := d.Info()
		if err != nil || info.Size() > 64<<10 {
			return nil //nolint:nilerr // likewise
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return nil //nolint:nilerr // likewise
		}
		for block, rest := pem.Decode(raw); block != nil; block, rest = pem.Decode(rest) {
			if strings.HasSuffix(block.Type, "PRIVATE KEY") {
				needles = append(needles, strings.Split(string(pem.EncodeToMemory(block)), "\n")[1], string(block.Bytes))
			}
		}
		return nil
	})
	return needles
}
