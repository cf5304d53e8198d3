package deletion

import (
	"errors"
	"fmt"
)

// Still returns nil when the decision is right for the input, too, as it is after
// waiting for something; otherwise the error says what has changed. Whether it is
// about the same PersistentVolume, by UID, is for the caller to see to.
func (d Decision) Still(now Input) error {
	next := Decide(now)
	switch {
	case next.Verdict != d.Verdict && next.Err != nil:
		return next.Err
	case next.Verdict != d.Verdict:
		return fmt.Errorf("PersistentVolume %q has phase %s and reclaim policy %s by now", now.Volume.Name, now.Volume.Status.Phase, now.Volume.Spec.PersistentVolumeReclaimPolicy)
	case next.Handle != d.Handle:
		return fmt.Errorf("PersistentVolume %q has volume handle %q by now, not %q", now.Volume.Name, next.Handle, d.Handle)
	case !next.Secret.Equal(d.Secret):
		return errors.New("another Secret is to be used by now")
	}
	return nil
}
