package journal

import (
	"errors"
	"fmt"
	"time"
)

// Facts are what a [Verdict] depends on.
type Facts struct {
	Origin Origin
	// Own is this installation.
	Own Installation
	Now time.Time
	// MaxAge is the age from which a record counts only while its claim exists; 0 for no
	// limit.
	MaxAge time.Duration
	// ClaimExists tells whether there is a claim of the record's UID.
	ClaimExists bool
	// Vouch tells whether the claim and its class lead to what the record says; it is
	// asked about a record that nobody has signed.
	Vouch func() error
}

// Verdict returns why a record may not be acted upon by itself; nil if it may. A record is
// a hint that a volume may exist at the driver: who may write ConfigMaps can write one, and
// a backup can bring an old one back. See docs/adr/0008-records.md.
func Verdict(f Facts) error {
	if !f.Origin.Signed {
		if err := f.Vouch(); err != nil {
			return fmt.Errorf("it is not signed by this installation, and its claim does not confirm it: %w", err)
		}
		return nil
	}
	if err := f.foreign(); err != nil {
		return err
	}
	if age := f.Now.Sub(f.Origin.Written); f.MaxAge > 0 && age > f.MaxAge && !f.ClaimExists {
		return fmt.Errorf("it was written %s ago, its claim does not exist, and it may come from a backup", age.Round(time.Minute))
	}
	return nil
}

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
