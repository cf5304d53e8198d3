package expand

import "errors"

// Still returns nil when the plan is right for the input, too, as it is after waiting
// for something; otherwise the error says what has changed. A claim that shows the
// attempt under way keeps to its size, whatever it requests by now (KEP-1790), so the
// input must have the claim as it was written for the plan, or newer.
func (p *Plan) Still(now Input) error {
	next := Decide(now)
	switch {
	case next.Err != nil:
		return next.Err
	case next.Verdict != Act:
		return errors.New("the claim or its volume has changed, and no longer needs this call")
	case next.Plan.Target.Cmp(p.Target) != 0:
		return errors.New("the claim requests another size by now")
	case next.Plan.Request.GetVolumeId() != p.Request.GetVolumeId() || !next.Plan.Secret.Equal(p.Secret):
		return errors.New("the volume, or its Secret, is another one by now")
	}
	return nil
}
