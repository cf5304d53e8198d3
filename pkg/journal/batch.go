package journal

import (
	"errors"
	"fmt"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"k8s.io/apimachinery/pkg/types"

	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
)

// termsKey is the key of a batch's topology terms. All other keys are the UIDs
// of claims.
const termsKey = "topology"

// maxBatch is the size of a batch in bytes. The API server takes 1 MiB in a
// ConfigMap, and etcd 1.5 MiB in a request.
const maxBatch = 900 << 10

// write is an intent to be recorded.
type write struct {
	intent     *Intent
	generation int64
	// replaces: see [entry].
	replaces []string
	// done gets the outcome, once.
	done chan error
	// abandoned tells that nobody waits for it any more.
	abandoned bool
}

// batch is what is to be written at one time.
type batch struct {
	writes  []*write
	content map[string][]byte
	terms   *table
	size    int
}

func newBatch(p *packer) *batch {
	return &batch{content: map[string][]byte{}, terms: newTable(p)}
}

// errFull is why an intent goes into the next batch.
var errFull = fmt.Errorf("the batch has no room for it, of %d bytes", maxBatch)

// fill takes writes in their order until the batch is full, and returns the
// rest. What can't be recorded at all gets its error at once. The batch is nil
// when nothing is left to be written.
func fill(p *packer, writes []*write) (*batch, []*write) {
	s := newBatch(p)
	for n, w := range writes {
		err := s.add(w, s.terms)
		if errors.Is(err, errFull) && len(s.writes) > 0 {
			return s, writes[n:]
		}
		if errors.Is(err, errFull) {
			// Better than nothing: see [Intent].
			s = newBatch(p)
			err = s.add(w, nil)
		}
		if err != nil {
			w.done <- fmt.Errorf("recording what is to be created for claim %s: %w", w.intent.Claim, err)
		}
	}
	if len(s.writes) == 0 {
		return nil, nil
	}
	return s, nil
}

// add takes one intent, with its topology if there is a table. With an error,
// nothing is taken.
func (s *batch) add(w *write, terms *table) error {
	before := len(s.terms.terms)
	packed, err := s.pack(w, terms)
	if err != nil {
		s.terms.truncate(before)
		return err
	}
	s.size += len(packed)
	s.content[string(w.intent.Claim.UID)] = packed
	s.writes = append(s.writes, w)
	return nil
}

// pack returns the content of the intent's key, if there is room for it.
func (s *batch) pack(w *write, terms *table) ([]byte, error) {
	e, err := encode(w.intent, w.generation, terms)
	if err != nil {
		return nil, err
	}
	e.Replaces, e.Of, e.Written = w.replaces, s.terms.packer.of, s.terms.packer.written.Unix()
	packed, err := s.terms.packer.pack(string(w.intent.Claim.UID), e)
	if err != nil {
		return nil, err
	}
	fits, err := s.terms.fits(maxBatch - s.size - len(packed))
	if err == nil && !fits {
		err = errFull
	}
	return packed, err
}

// finish returns what is to be written.
func (s *batch) finish() (map[string][]byte, error) {
	if len(s.terms.terms) > 0 {
		packed, err := s.terms.pack()
		if err != nil {
			return nil, err
		}
		s.content[termsKey] = packed
	}
	return s.content, nil
}

// found is a record that was read, or the error of one that can't be, or is set aside.
type found struct {
	batch      string
	uid        types.UID
	intent     *Intent
	origin     Origin
	generation int64
	replaces   []string
	// count is the number of records that this stands for.
	count int
	// unsigned tells that who has written it is not known, though there is a key.
	unsigned bool
	err      error
	aside    bool
}

// read returns what a batch holds under some of its keys, in their order.
func read(signer *Signer, batch kube.Batch, keys []types.UID) []found {
	if err := within("the number of records", int64(len(batch.Content)), maxRecords+1); err != nil {
		return []found{{batch: batch.Name, uid: allOthers, count: len(batch.Content), err: err}}
	}
	u := newUnpacker(signer, batch.Name)
	terms, signed, termsErr := u.terms(batch.Content)
	all := make([]found, 0, len(keys))
	for _, uid := range keys {
		f := u.entry(string(uid), batch.Content[string(uid)], terms)
		f.batch, f.uid, f.count = batch.Name, uid, 1
		f.origin.Signed = f.origin.Signed && signed
		if f.unsigned = signer != nil && !f.origin.Signed; f.unsigned {
			f.replaces = nil // It can't say of others that they do not count any more.
		}
		if f.err != nil && termsErr != nil {
			f.err = termsErr
		}
		all = append(all, f)
	}
	return all
}

// terms returns the topology terms of a batch, and whether they are signed: none need not
// be.
func (u *unpacker) terms(content map[string][]byte) (terms []*csipb.Topology, signed bool, err error) {
	packed, ok := content[termsKey]
	if !ok {
		return nil, true, nil
	}
	var all []map[string]string
	if signed, err = u.unpack(termsKey, packed, &all); err != nil {
		return nil, false, fmt.Errorf("key %q: %w", termsKey, err)
	}
	return termsOf(all), signed, nil
}

func (u *unpacker) entry(key string, packed []byte, terms []*csipb.Topology) found {
	var e entry
	signed, err := u.unpack(key, packed, &e)
	switch {
	case err != nil:
		return found{err: err}
	case !signed && e.Generation > maxUnsigned:
		return found{err: within("the generation", e.Generation, maxUnsigned)}
	case e.Version > version:
		return found{err: fmt.Errorf("it has format version %d, and this program knows versions up to %d: a newer one has written it", e.Version, version)}
	case string(e.Claim.UID) != key:
		return found{err: fmt.Errorf("it is about claim %.64q, and not about its key", e.Claim.UID)}
	}
	intent, err := e.decode(terms)
	return found{intent: intent, origin: e.origin(signed), generation: e.Generation, replaces: e.Replaces, err: err}
}
