package protocol

import (
	"slices"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/attempt"
)

// process adds what a process that leads, or believes so, does itself.
func (b *moves) process(who Holder) {
	p := b.from.Processes[who-1]
	if !p.Ready {
		b.takeOver(who)
		return
	}
	for slot := range p.Known {
		if p.Known[slot] == Ended {
			b.must(who, "removes a record that has ended", func(s *State) {
				s.put(slot, Record{})
				s.Processes[who-1].Known[slot] = None
			})
		}
	}
	if p.Busy == attempt.Wait && p.Deletion == Undecided {
		b.step(who)
	}
	if p.Busy == attempt.Wait && !p.Attempt.Phase.Open() {
		b.deletion(who)
	}
	if b.model.ReadAgain && p.Busy == attempt.Wait && p.Deletion == Undecided {
		b.must(who, "reads the journal again", func(s *State) { b.model.readJournal(s, who) })
	}
}

// takeOver adds the beginning of a leader's work.
func (b *moves) takeOver(who Holder) {
	b.must(who, "reads the journal", func(s *State) { b.model.begin(s, who) })
}

func (m Model) begin(s *State, who Holder) {
	p := &s.Processes[who-1]
	p.Ready = true
	if m.FreshStart {
		m.seeAll(s, who)
	}
	m.readJournal(s, who)
}

// readJournal takes up what former processes have left.
func (m Model) readJournal(s *State, who Holder) {
	heads, replaced := m.unread(*s, who)
	p := &s.Processes[who-1]
	for _, slot := range heads {
		if m.judge(s, who, slot) {
			m.recall(s, who, slot, s.Records[slot].Handle)
		}
	}
	for _, slot := range replaced {
		if !m.judge(s, who, slot) {
			continue
		}
		if !m.ReplacedRecords {
			p.Known[slot] = Ended
			continue
		}
		// Only the requests of it count.
		m.recall(s, who, slot, p.Attempt.Handle)
	}
}

// unread returns the records that a process does not know, apart from those that others
// replace.
func (m Model) unread(s State, who Holder) (heads, replaced []int) {
	for slot, record := range s.Records {
		switch {
		case record.IsNone() || s.Processes[who-1].Known[slot] != None:
		case m.replaced(s, slot):
			replaced = append(replaced, slot)
		default:
			heads = append(heads, slot)
		}
	}
	return heads, replaced
}

// recall takes up one record.
func (m Model) recall(s *State, who Holder, slot int, handle Handle) {
	p := &s.Processes[who-1]
	if !m.AllRecords && p.Attempt.Phase.Open() {
		p.Known[slot] = Ended
		return
	}
	p.Known[slot] = Open
	recalled := attempt.Event{What: attempt.Recalled, Plans: s.Records[slot].Plans, Handle: handle}
	if m.Partial {
		recalled.Plans = attempt.NewPlans(m.Inexact, m.bare)
	}
	if !m.ExactRepeat {
		recalled.Plans = attempt.NewPlans(false, m.plans[s.Class])
	}
	if !m.RecordedRemoval && recalled.Plans.Inexact {
		recalled.Handle = ""
	}
	m.observe(s, who, recalled)
}

// observe hands an event to the process' attempt, and lets it tell its news.
func (m Model) observe(s *State, who Holder, e attempt.Event) {
	p := &s.Processes[who-1]
	p.Attempt = attempt.Observe(p.Attempt, m.weaken(p.Attempt, e))
	if !m.RememberPast {
		p.Attempt.Past = attempt.Never
	}
	if !m.Inexact {
		p.Attempt.Plans.Inexact = false
	}
	if !m.Remember && p.Attempt.Phase == attempt.Settled {
		p.Attempt.Phase = attempt.Idle
	}
	if step := attempt.Next(p.Attempt, m.facts(*s, who)); step.Do == attempt.Report {
		if step.News == attempt.Elsewhere && s.Claim == Unbound {
			s.Class = 1 - s.Class // The scheduler chooses the other node.
		}
		p.Attempt = attempt.Observe(p.Attempt, attempt.Event{What: attempt.Reported})
	}
}

// weaken has an answer taken for more than it says.
func (m Model) weaken(from attempt.State, e attempt.Event) attempt.Event {
	if e.What != attempt.Failed || from.Phase == attempt.Recorded && e.Answer != attempt.Pending && e.Answer != attempt.Internal {
		return e
	}
	switch e.Answer {
	case attempt.Pending:
		if !m.PendingOpen {
			e.Answer = attempt.Final
		}
	case attempt.Internal:
		if !m.InternalOpen {
			e.Answer = attempt.Final
		}
	case attempt.Denied, attempt.Exhausted:
		if !m.RefusalsOpen {
			e.Answer = attempt.Final
		}
	default:
	}
	return e
}

// facts is what the caches of a process show of the claim.
func (m Model) facts(s State, who Holder) attempt.Claim {
	p := s.Processes[who-1]
	facts := attempt.Claim{}
	switch {
	case p.Claim == Gone:
		facts.Want = attempt.Left
	case p.Claim == Unbound && p.Revoked && m.GrantsAgain && p.Attempt.Phase.Open():
		facts.Want = attempt.Revoked
	}
	if p.Claim == Unbound && p.PV.Handle == "" && !p.Revoked {
		facts.Plan = m.plans[s.Class]
	}
	return facts
}

// step adds what the state machine says is to be done.
func (b *moves) step(who Holder) {
	p := b.from.Processes[who-1]
	step := attempt.Next(p.Attempt, b.model.facts(b.from, who))
	switch step.Do {
	case attempt.Wait:
	case attempt.Report:
		// News that came with facts that have changed since.
		b.must(who, "tells what has come of it", func(s *State) {
			b.model.observe(s, who, attempt.Event{What: attempt.Reported})
		})
	case attempt.Look:
		b.must(who, "looks for the PV", func(s *State) { b.model.look(s, who) })
	case attempt.Record:
		b.record(who, step)
	case attempt.Create:
		b.must(who, "calls CreateVolume", func(s *State) {
			p := &s.Processes[who-1]
			if b.model.send(s, Call{Plan: p.Attempt.Plans.Current(), Owner: who}) {
				p.Busy = attempt.Create
			}
		})
	case attempt.Store:
		b.store(who)
	case attempt.Remove:
		if b.model.carried(b.from, step.Handle) {
			b.leave(who)
			return
		}
		b.must(who, "calls DeleteVolume", func(s *State) {
			if b.model.send(s, Call{Handle: step.Handle, Owner: who}) {
				s.Processes[who-1].Busy = attempt.Remove
			}
		})
	case attempt.End:
		b.must(who, "ends the attempt", func(s *State) { b.model.end(s, who, step) })
	}
}

// look reads claim and PersistentVolume at the API server.
func (m Model) look(s *State, who Holder) {
	p := s.Processes[who-1]
	inherited := p.Attempt.Phase == attempt.Inherited
	seen := s.PV.named()
	if !m.LookForPV && inherited {
		seen = p.PV
	}
	switch {
	case !inherited && s.Claim != Unbound:
		m.observe(s, who, attempt.Event{What: attempt.Unwanted})
	case seen.Handle != "":
		m.observe(s, who, attempt.Event{What: attempt.Found})
	default:
		m.observe(s, who, attempt.Event{What: attempt.Absent})
	}
}

// record writes a record. Those before it are superseded.
func (b *moves) record(who Holder, step attempt.Step) {
	p := b.from.Processes[who-1]
	written := attempt.Event{What: attempt.Written, Plans: step.Plans, Handle: step.Handle}
	if !b.model.Journal || step.Handle != "" && !b.model.MarkRemoval {
		b.must(who, "goes on without a record", func(s *State) { b.model.observe(s, who, written) })
		return
	}
	slot, free := b.from.freeSlot()
	if !free {
		// The journal has no bound. Where the model has one, a record takes the place
		// of one that it supersedes.
		if slot = slices.IndexFunc(p.Known[:], func(k Known) bool { return k != None }); slot < 0 {
			return
		}
	}
	stored := p.newRecord(step)
	b.must(who, "writes a record", func(s *State) {
		p := &s.Processes[who-1]
		for other := range p.Known {
			if p.Known[other] == Open {
				p.Known[other] = Ended
			}
		}
		s.put(slot, stored)
		p.Known[slot] = Open
		b.model.observe(s, who, written)
	})
	if !free {
		return
	}
	b.fault(who, "writes a record, which has no answer", func(s *State) {
		s.put(slot, stored)
		if b.model.DropUncertain {
			s.Processes[who-1].Known[slot] = Ended
		}
		b.model.observe(s, who, attempt.Event{What: attempt.Unwritten, Handle: step.Handle})
	})
}

// newRecord is what a process writes; it names the records that it knows.
func (p Process) newRecord(step attempt.Step) Record {
	r := Record{Plans: step.Plans, Handle: step.Handle}
	for slot, known := range p.Known {
		if known != None {
			r.Replaces = r.Replaces.with(slot)
		}
	}
	return r
}

// end lets the records go.
func (m Model) end(s *State, who Holder, step attempt.Step) {
	p := &s.Processes[who-1]
	for slot, known := range p.Known {
		if known == Open {
			p.Known[slot] = Ended
		}
		if step.Durable && m.Settle && p.Known[slot] == Ended {
			s.put(slot, Record{})
			p.Known[slot] = None
		}
	}
	m.observe(s, who, attempt.Event{What: attempt.Ended})
}

// store stores the PersistentVolume of a volume that is made.
func (b *moves) store(who Holder) {
	p := b.from.Processes[who-1]
	made := p.Attempt.Handle
	kept := func(s *State) { b.model.observe(s, who, attempt.Event{What: attempt.Kept}) }
	if b.from.PV.Moved && b.model.carried(b.from, made) {
		b.leave(who)
		return
	}
	switch there := b.from.PV.named().Handle; {
	case there == "":
		b.must(who, "stores the PV", func(s *State) { b.model.handOver(s, who); kept(s) })
		b.fault(who, "stores the PV, and gets no answer", func(s *State) {
			b.model.handOver(s, who)
			b.model.observe(s, who, attempt.Event{What: attempt.Unclear})
		})
		b.fault(who, "can't store the PV, and gets no answer", func(s *State) {
			b.model.observe(s, who, attempt.Event{What: attempt.Unclear})
		})
	case there == made || !b.model.Compare:
		b.must(who, "finds the PV stored", kept)
	default:
		b.must(who, "finds a PV of another volume", func(s *State) {
			b.model.observe(s, who, attempt.Event{What: attempt.NameTaken})
		})
	}
	b.fault(who, "may not store the PV", func(s *State) {
		if b.model.LookWhenRefused && s.PV.Handle == made {
			kept(s)
			return
		}
		b.model.observe(s, who, attempt.Event{What: attempt.Rejected})
	})
}

// leave leaves a volume alone that a PersistentVolume carries.
func (b *moves) leave(who Holder) {
	b.must(who, "leaves the volume to its PV", func(s *State) {
		b.model.observe(s, who, attempt.Event{What: attempt.VolumeTaken})
	})
}

// handOver stores the PersistentVolume. It does harm if the process knows that the claim
// may not have the data any more, and has not been given it before.
func (m Model) handOver(s *State, who Holder) {
	p := s.Processes[who-1]
	carried := s.PV.Handle == p.Attempt.Handle
	m.storePV(s, p.Attempt.Handle)
	if carried {
		s.Harm = GivenAway
		return
	}
	if p.Revoked && p.Claim == Unbound && p.Attempt.Past != attempt.Sent {
		s.Harm = HandedOver
	}
}

// deletion adds what is done about a PersistentVolume that is stored.
func (b *moves) deletion(who Holder) {
	p := b.from.Processes[who-1]
	closed := p.Known == [slots]Known{}
	due := p.PV.Released && !p.PV.Keep && p.PV.Handle != p.Deleted
	switch {
	case p.Deletion == Deleted:
		b.must(who, "deletes the PV", func(s *State) {
			p := &s.Processes[who-1]
			if s.PV.Handle == p.Handle {
				s.PV, s.Retired = PV{}, true
			}
			p.Deleted, p.Deletion, p.Handle = p.Handle, Undecided, ""
		})
	case p.Deletion == Decided && b.model.LookAgain && (!due || p.PV.Handle != p.Handle):
		b.must(who, "no longer wants to delete the volume", func(s *State) {
			s.Processes[who-1].Deletion, s.Processes[who-1].Handle = Undecided, ""
		})
	case p.Deletion == Decided:
		b.must(who, "calls DeleteVolume", func(s *State) {
			if b.model.send(s, Call{Handle: p.Handle, Owner: who}) {
				s.Processes[who-1].Deletion = Deleting
				if p.PV.Handle == p.Handle && p.PV.Keep {
					s.Harm = RetainedDeleted
				}
				s.TooLate = s.TooLate || s.PV.Keep
			}
		})
	case p.Deletion == Undecided && due && (closed || !b.model.DeletionWaits):
		b.must(who, "decides to delete the volume", func(s *State) {
			s.Processes[who-1].Deletion, s.Processes[who-1].Handle = Decided, p.PV.Handle
		})
	}
	if p.Deletion == Undecided && p.PV.Keep && p.PV.Finalizer && (closed || !b.model.FinalizerWaits) {
		b.must(who, "removes the finalizer of a PV to be kept", func(s *State) { s.PV.Finalizer = false })
	}
}
