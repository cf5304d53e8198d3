package attempt

import (
	"slices"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
)

// Observe returns the state after an event.
func Observe(s State, e Event) State {
	switch e.What {
	case Recalled:
		return s.recall(e)
	case Unwritten:
		return s.unwritten(e)
	case Undone:
		s.News = Blocked
		return s
	case Withdrawn:
		return s
	case Reported:
		s.News = None
		return s
	default:
	}
	switch s.Phase {
	case Doubtful, Settled, Inherited:
		return s.looked(e)
	case Idle, Recorded, Uncertain, Full, Ambiguous:
		return s.asked(e)
	case Made:
		return s.storing(e)
	case Unusable, Cleared:
		return s.written(e)
	case Removing, Clearing:
		return s.removing(e)
	case Void, Stored:
		return s.ending(e)
	}
	return s
}

// recall takes up a record of another process. In an attempt that is open already, its
// requests may have made the volume, too. That it records a removal matters to an
// attempt that has not got further only: the calls of the process that wrote it came
// before those of this one.
//
// Where the PersistentVolume was stored, a removal that comes to light late must not be
// carried out: the user may have deleted the PersistentVolume to keep the volume. There is
// nothing else in such a record, as the request has been recorded before.
func (s State) recall(e Event) State {
	if s.Phase == Settled && e.Handle != "" {
		return State{Phase: Stored, Plans: e.Plans, News: s.News}
	}
	if s.Phase.Open() && s.Phase != Inherited {
		for _, plan := range e.Plans.All() {
			s.Plans = s.Plans.add(plan)
		}
		s.Plans.Inexact = s.Plans.Inexact || e.Plans.Inexact
		return s
	}
	handle := e.Handle
	if s.Phase == Inherited {
		// Where records disagree about the volume, one of them was written late, and
		// the other process may have made another volume meanwhile.
		disagree := handle != s.Handle
		if handle == "" {
			handle = s.Handle
		}
		e.Plans = NewPlans(disagree || s.Plans.Inexact || e.Plans.Inexact, append(s.Plans.All(), e.Plans.All()...)...)
	}
	return State{Phase: Inherited, Plans: e.Plans, Handle: handle}
}

// looked is about the PersistentVolume of a claim that may have one.
func (s State) looked(e Event) State {
	switch {
	case e.What == Unwanted:
		s.News = Paused
		return s
	case e.What == Found && s.Phase == Inherited:
		s.Phase, s.Handle, s.News = Stored, "", Paused
		return s
	case e.What == Found:
		return State{Phase: Settled, News: Paused}
	case e.What == Absent && s.Phase != Inherited:
		return State{}
	case e.What != Absent:
		return s
	}
	s.Past = Earlier
	switch {
	case s.Handle != "":
		s.Phase = Clearing
	case s.Plans.Inexact:
		// A request that can't be repeated exactly is better planned again.
		s.Phase = Ambiguous
	default:
		s.Phase = Uncertain
	}
	return s
}

// asked is about a volume that the driver is, or is to be, asked for.
func (s State) asked(e Event) State {
	switch {
	case e.What == Written:
		return s.written(e)
	case e.What == Ended && s.Phase == Recorded:
		return s.ending(e)
	case s.Phase == Idle:
		if e.What == Found {
			s.Phase = Settled
		}
	case e.What == Created:
		s.Phase, s.Handle, s.News = Made, e.Handle, None
	case e.What == Unfit:
		s.Phase, s.Handle, s.News = Unusable, e.Handle, Refused
	case e.What == Failed:
		return s.failed(e)
	}
	return s
}

// written is about a record that is durable now.
func (s State) written(e Event) State {
	if e.What != Written {
		return s
	}
	sent := s.wasSent(e.Plans.Current())
	s.Plans, s.Handle = e.Plans, e.Handle
	switch {
	case s.Handle != "":
		s.Phase = Removing
	case sent:
		s.Phase = Ambiguous
	default:
		s.Phase = Recorded
	}
	return s
}

// unwritten is about a record that may or may not be durable. One that says that the
// volume is to be removed binds whoever reads it, so there is no way back from it.
func (s State) unwritten(e Event) State {
	if s.Phase == Made && e.Handle != "" {
		s.Phase = Unusable
	}
	s.News = Blocked
	return s
}

// wasSent tells whether a request is among those that may have made the volume.
func (s State) wasSent(plan *provision.Plan) bool {
	plans := s.Plans
	if s.Phase == Recorded {
		plans = plans.drop()
	}
	return slices.ContainsFunc(plans.All(), plan.Repeats)
}

// failed applies the table of the package comment.
func (s State) failed(e Event) State {
	open := s.Phase != Recorded
	s.News = Blocked
	switch {
	case e.Answer == Pending:
		s.Phase = Uncertain
		return s
	case e.Answer == Internal, e.Blind:
		s.Phase = Ambiguous
		return s
	case e.Answer == Exists:
		// One of those that this request has replaced has made the volume.
		return s.refuse(Refused, Uncertain)
	case open && e.Answer == Exhausted && s.Phase == Full:
		s.Phase, s.News = Ambiguous, Elsewhere
		return s
	case open && e.Answer == Exhausted && s.Plans.Current().Reschedule:
		// The driver may not have looked for the volume, so the call is repeated
		// before another node is asked for.
		s.Phase = Full
		return s
	case open && (e.Answer == Exhausted || e.Answer == Denied || e.Answer == Unprepared):
		s.Phase = Ambiguous
		return s
	}
	return s.refuse(s.newsOf(e.Answer), Ambiguous)
}

func (s State) newsOf(a Answer) News {
	switch {
	case a == Invalid:
		return Infeasible
	case a == Exhausted && s.Plans.Current().Reschedule:
		return Elsewhere
	}
	return Refused
}

// refuse takes the current request from those that may have made the volume. In phase
// rest the attempt goes on with those that are left.
func (s State) refuse(news News, rest Phase) State {
	others := s.Plans.drop()
	switch {
	case !others.isEmpty():
		s.Phase, s.Plans, s.News = rest, others, news
	case s.Plans.Inexact:
		s.Phase = Ambiguous
	default:
		s.Phase, s.News = Void, news
	}
	return s
}

// storing is about the PersistentVolume of a volume that was made.
func (s State) storing(e Event) State {
	switch e.What {
	case Written:
		return s.written(e)
	case Kept:
		s.Phase, s.Handle, s.News = Stored, "", Succeeded
	case Found:
		s.Phase, s.Handle, s.News = Stored, "", Paused
	case Absent:
		// The claim is there, and has no volume: nobody has used it.
		s.Past = Never
	case Unwanted:
		// As if it had been sent: it is stored in any case.
		s.Past = Sent
	case Unclear:
		s.Past, s.News = Sent, Blocked
	case VolumeTaken:
		s.Phase, s.Handle, s.News = Void, "", Refused
	case Rejected:
		if s.Past != Never && s.Plans.Current().Retains() {
			// It may have been stored before, and been deleted to keep the volume.
			s.News = Blocked
			return s
		}
		s.Phase, s.News = Unusable, Refused
	case NameTaken:
		s.Phase, s.News = Unusable, Refused
	default:
	}
	return s
}

// removing is about a volume that must go. Where another process has recorded that and not
// all is known, another volume may have been made after it: the driver is asked again, by a
// record that no longer tells of the removal.
func (s State) removing(e Event) State {
	switch e.What {
	case Removed:
	case VolumeTaken:
		s.News = Refused
	default:
		return s
	}
	if s.Phase == Clearing && s.Plans.Inexact {
		s.Phase = Cleared
	} else {
		s.Phase = Void
	}
	return s
}

// ending is about a record that is no longer needed. What comes of the attempt is told
// after that.
func (s State) ending(e Event) State {
	switch {
	case e.What != Ended:
		return s
	case s.Phase == Stored:
		return State{Phase: Settled, News: s.News}
	}
	if s.Past == Earlier {
		// By now, the claim may have gone, or have got another PersistentVolume.
		return State{Phase: Doubtful, News: s.News}
	}
	return State{News: s.News}
}
