package protocol

import (
	"strconv"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/attempt"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
)

// driver adds what the driver does with the calls that it has.
func (b *moves) driver() {
	for i, call := range b.from.Calls {
		switch {
		case call == Call{}:
			continue
		case call.Plan != nil:
			b.must(call.Owner, "CreateVolume: is done", func(s *State) {
				s.over(i)
				b.model.answer(s, call, b.model.makeVolume(s, call.Plan, false))
			})
			b.createFaults(i, call)
		default:
			b.must(call.Owner, "DeleteVolume: is done", func(s *State) {
				s.over(i)
				s.deleteVolume(call.Handle)
				b.model.deleted(s, call.Owner)
			})
		}
		if call.Owner == 0 {
			b.must(0, "a call whose process has ended does not reach the driver", func(s *State) { s.over(i) })
			continue
		}
		b.fault(call.Owner, "gives a call up that may still be done", func(s *State) {
			s.Calls[i].Owner = 0
			b.model.givenUp(s, call.Owner)
		})
	}
}

func (b *moves) createFaults(i int, call Call) {
	if call.Owner == 0 {
		return
	}
	failed := func(answer attempt.Answer) attempt.Event { return attempt.Event{What: attempt.Failed, Answer: answer} }
	fault := func(what string, answer func(s *State) attempt.Event) {
		b.fault(call.Owner, "CreateVolume: "+what, func(s *State) {
			s.over(i)
			b.model.answer(s, call, answer(s))
		})
	}
	if b.from.Volume.Handle == "" {
		fault("fails for good", func(*State) attempt.Event { return failed(attempt.Final) })
		if b.model.Unfit {
			fault("makes a volume that can't be used", func(s *State) attempt.Event {
				return b.model.makeVolume(s, call.Plan, true)
			})
		}
	}
	fault("is refused, whether there is a volume or not", func(*State) attempt.Event { return failed(attempt.Denied) })
	if b.model.Local {
		fault("finds no room, whether there is a volume or not", func(*State) attempt.Event { return failed(attempt.Exhausted) })
	}
	if call.Plan == b.model.bare {
		fault("is refused for what the record lacks", func(*State) attempt.Event { return failed(attempt.Invalid) })
	}
	fault("fails, and may have left a volume", func(*State) attempt.Event { return failed(attempt.Internal) })
	fault("fails after its work", func(s *State) attempt.Event {
		b.model.makeVolume(s, call.Plan, false)
		return failed(attempt.Internal)
	})
}

// answer hands the outcome of CreateVolume to the process that waits for it.
func (m Model) answer(s *State, call Call, e attempt.Event) {
	if call.Owner == 0 {
		return
	}
	s.Processes[call.Owner-1].Busy = attempt.Wait
	m.observe(s, call.Owner, e)
}

// send puts a call under way, if the driver takes it: what it aborts is sent
// again later.
func (m Model) send(s *State, call Call) bool {
	free := -1
	for i, other := range s.Calls {
		switch {
		case other == Call{}:
			free = i
		case m.Serial == ByVolume, m.Serial == ByCall && (other.Plan == nil) == (call.Plan == nil):
			return false
		}
	}
	if free < 0 {
		return false
	}
	s.Calls[free] = call
	return true
}

func (s *State) over(i int) { s.Calls[i] = Call{} }

// makeVolume is CreateVolume, and what it answers.
func (m Model) makeVolume(s *State, plan *provision.Plan, unfit bool) attempt.Event {
	if s.Volume.Handle == "" {
		s.Handles++
		if s.Retired && !m.Lenient {
			s.Harm = MadeAgain
		}
		s.Volume = Volume{Handle: "v" + strconv.Itoa(int(s.Handles)), Plan: plan, Unfit: unfit}
		if m.SameHandle {
			s.Volume.Handle = "v1"
		}
	}
	switch {
	case s.Volume.Plan != plan && plan != m.bare && s.Volume.Plan != m.bare:
		return attempt.Event{What: attempt.Failed, Answer: attempt.Exists}
	case s.Volume.Unfit:
		return attempt.Event{What: attempt.Unfit, Handle: s.Volume.Handle}
	}
	return attempt.Event{What: attempt.Created, Handle: s.Volume.Handle}
}

// deleteVolume is DeleteVolume. It does harm when somebody counts on the volume.
func (s *State) deleteVolume(handle Handle) {
	if s.Volume.Handle != handle {
		return
	}
	switch {
	case s.Volume.Kept:
		s.Harm = KeptDeleted
	case s.PV.Handle == handle && s.Claim != Gone:
		s.Harm = UsedDeleted
	case s.PV.Handle == handle && s.PV.Keep && !s.TooLate:
		s.Harm = RetainedDeleted
	}
	s.Volume = Volume{}
}

// deleted hands the answer of DeleteVolume to the process that waits for it.
func (m Model) deleted(s *State, who Holder) {
	if who == 0 {
		return
	}
	p := &s.Processes[who-1]
	if p.Deletion == Deleting {
		p.Deletion = Deleted
		return
	}
	p.Busy = attempt.Wait
	m.observe(s, who, attempt.Event{What: attempt.Removed})
}

// givenUp has a process no longer wait for the answer to its call.
func (m Model) givenUp(s *State, who Holder) {
	p := &s.Processes[who-1]
	switch {
	case p.Deletion == Deleting:
		p.Deletion, p.Handle = Undecided, ""
	case p.Busy == attempt.Remove:
		p.Busy = attempt.Wait
		m.observe(s, who, attempt.Event{What: attempt.Undone})
	default:
		p.Busy = attempt.Wait
		m.observe(s, who, attempt.Event{What: attempt.Failed, Answer: attempt.Pending})
	}
}
