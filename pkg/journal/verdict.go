package journal

import (
	"cmp"
	"errors"
	"fmt"
	"time"
)

// ClaimState is what has become of the claim of a record.
type ClaimState uint8

const (
	// ClaimGone: there is no claim of that UID.
	ClaimGone ClaimState = iota
	// ClaimWaits: it has no volume yet.
	ClaimWaits
	// ClaimStored: the PersistentVolume that the record is about exists.
	ClaimStored
)

// Facts are what a [Verdict] depends on.
type Facts struct {
	Origin Origin
	// Own is this installation.
	Own Installation
	Now time.Time
	// MaxAge is the age from which a record counts only while its claim waits for it; 0
	// for no limit.
	MaxAge time.Duration
	// Claim tells about the claim. It is asked about a record that does not count by
	// itself, and asks the API server: what a cache shows may be gone.
	Claim func() (ClaimState, error)
	// Vouch tells whether the claim and its class lead to what the record says; it is
	// asked about a record that nobody has signed.
	Vouch func() error
}

// ErrNeedless is the verdict on a record that does not count by itself, and whose volume has
// its PersistentVolume: it can be dropped.
var ErrNeedless = errors.New("the PersistentVolume of its volume exists")

// ErrUnknown is the verdict while it can't be found out what has become of the claim.
var ErrUnknown = errors.New("it is not known what has become of its claim")

// Verdict returns why a record may not be acted upon; nil if it may. A record is a hint that
// a volume may exist at the driver: who may write ConfigMaps can write one, and a backup can
// bring an old one back. See docs/adr/0008-records.md.
func Verdict(f Facts) error {
	if f.Origin.Signed {
		if err := f.foreign(); err != nil {
			return err
		}
		if f.MaxAge == 0 || f.age() <= f.MaxAge {
			return nil
		}
	}
	claim, err := f.Claim()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	return cmp.Or(f.unconfirmed(claim), needless(claim))
}

// unconfirmed tells why a record does not count that does not do so by itself.
func (f Facts) unconfirmed(claim ClaimState) error {
	switch {
	case f.Origin.Signed && claim == ClaimGone:
		return fmt.Errorf("it was written %s ago, its claim does not exist, and it may come from a backup", f.age().Round(time.Minute))
	case f.Origin.Signed:
		return nil
	case claim == ClaimGone:
		return errors.New("it is not signed by this installation, and its claim does not exist")
	}
	if err := f.Vouch(); err != nil {
		return fmt.Errorf("it is not signed by this installation, and its claim does not confirm it: %w", err)
	}
	return nil
}

func needless(claim ClaimState) error {
	if claim == ClaimStored {
		return ErrNeedless
	}
	return nil
}

func (f Facts) age() time.Duration { return f.Now.Sub(f.Origin.Written) }

// foreign tells whether another installation has written the record. What either side does
// not know is not compared.
func (f Facts) foreign() error {
	var errs []error
	for _, part := range []struct{ what, of, own string }{
		{"cluster (UID of namespace kube-system)", f.Origin.Of.Cluster, f.Own.Cluster},
		{"driver", f.Origin.Of.Driver, f.Own.Driver},
		{"namespace", f.Origin.Of.Namespace, f.Own.Namespace},
		{"node", f.Origin.Of.Node, f.Own.Node},
	} {
		if part.of != "" && part.own != "" && part.of != part.own {
			errs = append(errs, fmt.Errorf("it is of another %s: %.253q, and not %q", part.what, part.of, part.own))
		}
	}
	return errors.Join(errs...)
}
