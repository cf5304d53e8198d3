package journal

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
)

// Signer signs what the journal writes, with HMAC-SHA256 (RFC 2104), so that a record
// tells who has written it: only who has the key can. A nil Signer signs nothing, and
// finds no signature valid.
type Signer struct{ key []byte }

// KeySize is the size of a signer's key in bytes.
const KeySize = sha256.Size

// NewSigner returns a signer with a secret key of [KeySize] bytes.
func NewSigner(key []byte) *Signer { return &Signer{key} }

// domain keeps these signatures apart from all others that a key might be used for.
const domain = "csi-provisioner/journal/1"

// sign returns the signature of a batch's value. It holds for that batch and that key
// only: a value that is copied to another place has none there. The names of batches are
// not used twice.
func (s *Signer) sign(batch, key string, text []byte) string {
	if s == nil {
		return ""
	}
	mac := hmac.New(sha256.New, s.key)
	for _, part := range []string{domain, batch, key} {
		mac.Write([]byte(part))
		mac.Write([]byte{0})
	}
	mac.Write(text)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// isSigned tells whether a signature is valid.
func (s *Signer) isSigned(batch, key string, text []byte, signature string) bool {
	return s != nil && signature != "" && hmac.Equal([]byte(signature), []byte(s.sign(batch, key, text)))
}

func (j *Journal) currentSigner() *Signer {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.signer
}

// findKey returns the signer. While there is none, the key is asked for each time that the
// journal is read.
func (j *Journal) findKey(ctx context.Context) (*Signer, error) {
	if signer := j.currentSigner(); signer != nil || j.options.Key == nil {
		return signer, nil
	}
	asking, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	key, err := j.options.Key(asking)
	j.mu.Lock()
	told := j.keyless
	if err == nil {
		j.signer = NewSigner(key)
	}
	j.keyless = err != nil
	signer := j.signer
	j.mu.Unlock()
	switch {
	case err == nil:
		return signer, nil
	case !errors.Is(err, kube.ErrNoKey):
		return nil, fmt.Errorf("reading the journal's key: %w", err)
	case !told:
		j.options.Report(ctx, fmt.Errorf("records are not signed, so that after a crash only those are acted upon that a claim and its class confirm: %w", err))
	}
	return nil, nil
}
