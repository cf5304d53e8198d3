package journal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
)

// Decisions carries out what a person decides about a record that is kept: the sidecar
// does not act upon it by itself.
type Decisions struct {
	Store Store
	// Reader tells which records are kept.
	Reader Reader
	// Of is the installation that a confirmed record is of, and Name the name of the
	// batch for it.
	Of   Installation
	Name string
	Now  time.Time
}

// ErrNotKept is why nothing is done about a record: the sidecar acts upon it.
var ErrNotKept = errors.New("the sidecar takes care of it: there is nothing to decide")

// Confirm writes a record once more, as one of this installation and of now, and drops
// the one that is kept. The sidecar acts upon it when it next reads the journal.
func (d Decisions) Confirm(ctx context.Context, batch kube.Batch, key string) error {
	record, err := d.find(ctx, batch, key)
	if err != nil {
		return err
	}
	if record.Intent == nil {
		return fmt.Errorf("it can't be read, and only be discarded: %w", record.Kept)
	}
	if d.Reader.Signer == nil {
		return fmt.Errorf("it can't be signed: %w", kube.ErrNoKey)
	}
	content, err := d.sign(record)
	if err != nil {
		return err
	}
	if err := d.Store.Create(ctx, d.Name, content); err != nil {
		return err
	}
	return d.Store.Drop(ctx, batch.Name, []string{key})
}

// Discard drops a record that is kept. If it was true, its volume is nobody's from now on.
func (d Decisions) Discard(ctx context.Context, batch kube.Batch, key string) error {
	if _, err := d.find(ctx, batch, key); err != nil {
		return err
	}
	return d.Store.Drop(ctx, batch.Name, []string{key})
}

func (d Decisions) find(ctx context.Context, batch kube.Batch, key string) (Record, error) {
	for _, record := range d.Reader.Read(ctx, batch) {
		switch {
		case record.Claim == allOthers:
			return Record{}, fmt.Errorf("delete ConfigMap %q, of which nothing is read: %w", batch.Name, record.Kept)
		case string(record.Claim) != key:
		case record.Kept == nil:
			return Record{}, ErrNotKept
		default:
			return record, nil
		}
	}
	return Record{}, errors.New("there is no such record")
}

// sign returns a batch with the record only.
func (d Decisions) sign(record Record) (map[string][]byte, error) {
	p := newPacker(d.Of)
	p.begin(d.Name, d.Now, d.Reader.Signer)
	w := &write{intent: record.Intent, generation: 1, replaces: []string{record.Batch}, done: make(chan error, 1)}
	next, _ := fill(p, []*write{w})
	if next == nil {
		return nil, <-w.done
	}
	return next.finish()
}
