package audit

import (
	"context"
	"errors"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/csi-provisioner/csi-provisioner/pkg/journal"
	"github.com/csi-provisioner/csi-provisioner/pkg/metrics"
)

// Journal reads the intents of the journal, and changes nothing in it.
type Journal struct{ store journal.Store }

// NewJournal returns the port. Only List of the store is called.
func NewJournal(store journal.Store) *Journal { return &Journal{store} }

// List returns the intents. What can't be read has the UID of its claim only.
func (j *Journal) List(ctx context.Context) ([]Intent, error) {
	batches, err := j.store.List(ctx)
	if err != nil {
		return nil, err
	}
	// A journal of its own, that is never run: reading is all that it does.
	found, err := journal.New(journal.Options{
		Store:   frozen(batches),
		Access:  func(context.Context) error { return nil },
		Prefix:  "\x00", // all batches are others'
		Clock:   clock.RealClock{},
		Metrics: metrics.New().Journal,
		Judge:   journal.Trust,                   // it acts upon none
		Report:  func(context.Context, error) {}, // of what can't be read, which is found below
	}).Recover(ctx)
	if err != nil {
		return nil, err
	}
	var intents []Intent
	readable := map[types.UID]struct{}{}
	for _, from := range found {
		readable[from.Claim.UID] = struct{}{}
		intents = append(intents, describe(from)...)
	}
	return append(intents, unreadable(batches, readable)...), nil
}

// describe returns an intent for each volume that the driver was asked for: one,
// unless the name has changed with the options.
func describe(from *journal.Intent) []Intent {
	var intents []Intent
	names := map[string]struct{}{}
	for _, plan := range from.Plans {
		name := plan.Request.GetName()
		if _, again := names[name]; again {
			continue
		}
		names[name] = struct{}{}
		intents = append(intents, Intent{
			VolumeName: name,
			Claim:      Claim{Namespace: from.Claim.Namespace, Name: from.Claim.Name, UID: from.Claim.UID},
		})
	}
	return intents
}

// topologyKey is the key of a batch that is none of a claim's.
const topologyKey = "topology"

// unreadable returns intents for the keys of claims that were not read.
func unreadable(batches frozen, readable map[types.UID]struct{}) []Intent {
	var intents []Intent
	for _, content := range batches {
		for key := range content {
			uid := types.UID(key)
			if _, known := readable[uid]; known || key == topologyKey {
				continue
			}
			readable[uid] = struct{}{}
			intents = append(intents, Intent{Claim: Claim{UID: uid}})
		}
	}
	return intents
}

// frozen is a store of which nothing but its content is left.
type frozen map[string]map[string][]byte

var errReadOnly = errors.New("an audit changes nothing")

func (f frozen) List(context.Context) (map[string]map[string][]byte, error) { return f, nil }

func (frozen) Create(context.Context, string, map[string][]byte) error { return errReadOnly }
func (frozen) Drop(context.Context, string, []string) error            { return errReadOnly }
func (frozen) Delete(context.Context, string) error                    { return errReadOnly }
