package journal

import (
	"context"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
)

// Judge tells whether a record that was read may be acted upon. With an error it is set
// aside: it stays, does not count, and is judged again whenever the journal is read. Intent
// may be changed to what is certain of it.
type Judge func(ctx context.Context, intent *Intent, origin Origin) error

// Trust is a [Judge] for which every record may be acted upon.
func Trust(context.Context, *Intent, Origin) error { return nil }

// Reader reads batches, and takes care of none.
type Reader struct {
	// Signer tells which records are signed.
	Signer *Signer
	// Judge is asked about each record that can be read.
	Judge Judge
}

// Reader returns a reader with the key of this journal. While there is no key, nobody can
// tell who has written a record, and the reader's judge trusts all.
func (j *Journal) Reader(judge Judge) Reader {
	signer := j.currentSigner()
	if signer == nil {
		judge = Trust
	}
	return Reader{signer, judge}
}

// Record is one that was read.
type Record struct {
	Batch string
	// Claim is its key, or empty for a batch of which nothing is read.
	Claim types.UID
	// Intent is nil if it can't be read.
	Intent *Intent
	Origin Origin
	// Kept is a [KeptError] that says why it may not be acted upon; nil if it may.
	Kept error
}

// Read returns the records of a batch, whoever's they are and whether they have ended or
// not, in order.
func (r Reader) Read(ctx context.Context, batch kube.Batch) []Record {
	var all []Record
	for _, f := range read(r.Signer, batch, keysOf(batch)) {
		r.judge(ctx, &f)
		record := Record{Batch: f.batch, Claim: f.uid, Intent: f.intent, Origin: f.origin}
		if f.err != nil {
			record.Kept = f.kept()
		}
		all = append(all, record)
	}
	return all
}

// judge asks about a record that can be read.
func (r Reader) judge(ctx context.Context, f *found) {
	if f.err != nil {
		return
	}
	f.err = r.Judge(ctx, f.intent, f.origin)
	f.aside = f.err != nil
}

// keysOf returns the claims of which a batch has records, in order.
func keysOf(batch kube.Batch) []types.UID {
	keys := make([]types.UID, 0, len(batch.Content))
	for _, key := range slices.Sorted(maps.Keys(batch.Content)) {
		if key != termsKey {
			keys = append(keys, types.UID(key))
		}
	}
	return keys
}
