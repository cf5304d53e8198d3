package audit

import (
	"context"
	"errors"
	"time"

	"k8s.io/utils/clock"

	"github.com/csi-provisioner/csi-provisioner/pkg/journal"
	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
)

// Batches looks at those of the journal; see [kube.Batches].
type Batches interface {
	Each(ctx context.Context, see func(kube.Batch)) error
}

// Journal reads the records of the journal, and changes nothing in it. All fields are
// needed but Signer and MaxAge.
type Journal struct {
	Batches Batches
	// Exists tells whether there is a claim, with that UID.
	Exists func(ctx context.Context, claim kube.ClaimKey) (bool, error)
	// Signer has the journal's key; nil if there is none.
	Signer *journal.Signer
	// Own is the installation, of all nodes.
	Own journal.Installation
	// MaxAge is the age from which a record counts only while its claim exists; 0 for
	// no limit.
	MaxAge time.Duration
	Clock  clock.PassiveClock
}

// List returns the records.
func (j *Journal) List(ctx context.Context) (Records, error) {
	var all Records
	seen := map[Intent]struct{}{}
	reader := j.Reader()
	err := j.Batches.Each(ctx, func(batch kube.Batch) {
		for _, record := range reader.Read(ctx, batch) {
			kept, counts := keptOf(record)
			if kept != nil {
				all.Kept = append(all.Kept, *kept)
			}
			if !counts {
				continue
			}
			for _, intent := range describe(record) {
				if _, again := seen[intent]; !again {
					all.Intents = append(all.Intents, intent)
				}
				seen[intent] = struct{}{}
			}
		}
	})
	return all, err
}

// Reader returns the one that tells which records the sidecar sets aside.
func (j *Journal) Reader() journal.Reader { return journal.Reader{Signer: j.Signer, Judge: j.judge} }

// errUnconfirmed is why it is open whether the sidecar acts upon a record.
var errUnconfirmed = errors.New("the sidecar acts upon it if the claim and its class ask for the same volume, and tells in its log if they do not")

// judge is what the sidecar goes by, but that it is left open what a claim confirms.
func (j *Journal) judge(ctx context.Context, intent *journal.Intent, origin journal.Origin) error {
	return journal.Verdict(journal.Facts{
		Origin: origin, Own: j.Own, Now: j.Clock.Now(), MaxAge: j.MaxAge,
		Claim: func() (journal.ClaimState, error) {
			exists, err := j.Exists(ctx, intent.Claim)
			if exists {
				return journal.ClaimWaits, err
			}
			return journal.ClaimGone, err
		},
		Vouch: func() error { return errUnconfirmed },
	})
}

// keptOf returns a record that is not acted upon, and tells whether there may be a volume
// in creation by it all the same.
func keptOf(record journal.Record) (kept *Kept, counts bool) {
	var why *journal.KeptError
	if !errors.As(record.Kept, &why) {
		return nil, true
	}
	kept = &Kept{ConfigMap: why.Batch, Key: why.Claim, State: Unreadable, Reason: why.Cause.Error()}
	if record.Intent == nil {
		return kept, true
	}
	kept.State = SetAside
	if errors.Is(record.Kept, errUnconfirmed) {
		kept.State = Unconfirmed
	}
	kept.Claim, kept.VolumeHandle = claimOf(record.Intent), record.Intent.Useless
	kept.VolumeName = record.Intent.Plans[0].Request.GetName()
	return kept, kept.State == Unconfirmed
}

// describe returns an intent for each volume that the driver was asked for: one,
// unless the name has changed with the options. What can't be read has the UID of its
// claim only.
func describe(record journal.Record) []Intent {
	if record.Intent == nil {
		return []Intent{{Claim: Claim{UID: record.Claim}}}
	}
	var intents []Intent
	for _, plan := range record.Intent.Plans {
		intents = append(intents, Intent{VolumeName: plan.Request.GetName(), Claim: *claimOf(record.Intent)})
	}
	return intents
}

func claimOf(intent *journal.Intent) *Claim {
	return &Claim{Namespace: intent.Claim.Namespace, Name: intent.Claim.Name, UID: intent.Claim.UID}
}
