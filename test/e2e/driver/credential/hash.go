// Package credential remembers credentials without keeping them: as a salted
// hash that can be compared with what a call brings, and that tells nothing
// when it is read in a state file.
package credential

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
)

const (
	saltBytes  = 16
	sumBytes   = 32
	iterations = 4096 // enough for a test driver, and about a millisecond
)

// A Hash is the salted hash of a set of secrets.
type Hash struct {
	Salt []byte `json:"salt"`
	Sum  []byte `json:"sum"`
}

// New hashes secrets with a salt of its own. All keys and values count.
func New(secrets map[string]string) (*Hash, error) {
	salt := make([]byte, saltBytes)
	rand.Read(salt)
	sum, err := derive(secrets, salt)
	if err != nil {
		return nil, err
	}
	return &Hash{Salt: salt, Sum: sum}, nil
}

// Matches says whether these are the secrets that were hashed.
func (h *Hash) Matches(secrets map[string]string) (bool, error) {
	sum, err := derive(secrets, h.Salt)
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(sum, h.Sum) == 1, nil
}

func derive(secrets map[string]string, salt []byte) ([]byte, error) {
	// JSON writes maps in the order of their keys and quotes both sides, so
	// that no two sets of secrets have the same encoding.
	encoded, err := json.Marshal(secrets)
	if err != nil {
		return nil, fmt.Errorf("encoding secrets: %w", err)
	}
	sum, err := pbkdf2.Key(sha256.New, string(encoded), salt, iterations, sumBytes)
	if err != nil {
		return nil, fmt.Errorf("hashing secrets: %w", err)
	}
	return sum, nil
}
