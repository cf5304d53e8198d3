package modify

import (
	"errors"
	"maps"
)

// Still returns nil when the plan is right for the input, too, as it is after waiting
// for something; otherwise the error says what has changed. A claim that shows the
// modification under way keeps to its class, whatever it names by now (KEP-3751), so
// the input must have the claim as it was written for the plan, or newer.
func (p *Plan) Still(now Input) error {
	next := Decide(now)
	switch {
	case next.Err != nil:
		return next.Err
	case next.Verdict != Act:
		return errors.New("the claim or its volume has changed, and no longer needs this call")
	case next.Plan.Target != p.Target || !maps.Equal(next.Plan.Request.GetMutableParameters(), p.Request.GetMutableParameters()):
		return errors.New("the claim names another class by now, or its class has other parameters")
	case next.Plan.Request.GetVolumeId() != p.Request.GetVolumeId() || !next.Plan.Secret.Equal(p.Secret):
		return errors.New("the volume, or its Secret, is another one by now")
	}
	return nil
}
