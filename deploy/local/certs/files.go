package certs

import (
	"fmt"
	"os"
	"path/filepath"
)

// Files is a pair on disk.
type Files struct{ Cert, Key string }

// files names the pair NAME.crt and NAME.key in the folder.
func files(dir, name string) Files {
	return Files{Cert: filepath.Join(dir, name+".crt"), Key: filepath.Join(dir, name+".key")}
}

// EnsureCA reads the CA NAME.crt and NAME.key in the folder, or makes it.
func EnsureCA(dir, name string) (*CA, Files, error) {
	f := files(dir, name)
	pair, err := ensure(f, func() (Pair, error) {
		ca, err := NewCA(name)
		if err != nil {
			return Pair{}, err
		}
		return ca.Pair, nil
	})
	if err != nil {
		return nil, f, fmt.Errorf("CA %s: %w", name, err)
	}
	ca, err := ParseCA(pair)
	return ca, f, err
}

// EnsureLeaf reads the leaf NAME.crt and NAME.key in the folder, or makes it. What is there is taken as it is, even if
// the Leaf now says otherwise.
func (c *CA) EnsureLeaf(dir, name string, leaf Leaf) (Files, error) {
	f := files(dir, name)
	if _, err := ensure(f, func() (Pair, error) { return c.Issue(leaf) }); err != nil {
		return f, fmt.Errorf("certificate %s: %w", name, err)
	}
	return f, nil
}

// EnsureKeyPair reads the key pair NAME.pub and NAME.key in the folder, or makes it; Cert names the public half.
func EnsureKeyPair(dir, name string) (Files, error) {
	f := files(dir, name)
	f.Cert = filepath.Join(dir, name+".pub")
	_, err := ensure(f, func() (Pair, error) {
		private, public, err := NewKeyPair()
		return Pair{Cert: public, Key: private}, err
	})
	if err != nil {
		return f, fmt.Errorf("key pair %s: %w", name, err)
	}
	return f, nil
}

// ensure reads a pair or makes it. The key is written last and by rename, so that a pair counts as there only when it
// is whole.
func ensure(f Files, make func() (Pair, error)) (Pair, error) {
	there, err := exists(f.Key)
	if err != nil {
		return Pair{}, err
	}
	if there {
		return read(f)
	}
	pair, err := make()
	if err != nil {
		return Pair{}, err
	}
	if err := os.MkdirAll(filepath.Dir(f.Key), 0o700); err != nil {
		return Pair{}, err
	}
	if err := write(f.Cert, pair.Cert, 0o644); err != nil {
		return Pair{}, err
	}
	return pair, write(f.Key, pair.Key, 0o600)
}

func read(f Files) (Pair, error) {
	cert, err := os.ReadFile(f.Cert)
	if err != nil {
		return Pair{}, err
	}
	key, err := os.ReadFile(f.Key)
	return Pair{Cert: cert, Key: key}, err
}

func write(path string, data []byte, mode os.FileMode) error {
	if err := os.WriteFile(path+".new", data, mode); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
