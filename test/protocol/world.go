package protocol

import "github.com/csi-provisioner/csi-provisioner/pkg/plan/attempt"

// user adds what a user does.
func (b *moves) user() {
	s, world := b.from, b.model.World
	if s.Claim != Gone {
		b.may(0, "the user deletes the claim", func(s *State) { s.Claim = Gone })
	}
	if s.Changes < world.Classes {
		b.may(0, "the user changes the class", func(s *State) { s.Changes++; s.Class = s.Changes })
	}
	if s.Revocations < world.Revoked && !s.Revoked {
		b.may(0, "the owner of the data source revokes the grant", func(s *State) { s.Revoked = true; s.Revocations++ })
	}
	if s.Revoked {
		b.must(0, "the owner of the data source grants it again", func(s *State) { s.Revoked = false })
	}
	if s.PV.Handle != "" && !s.PV.Keep && world.Patched {
		b.may(0, "the user sets the PV's policy to Retain", func(s *State) {
			s.PV.Keep = true
			s.TooLate = s.TooLate || s.isBeingDeleted()
		})
	}
	b.userKeeps()
}

// isBeingDeleted tells whether it is too late to keep the volume: the driver has been, or
// may have been, told to delete it.
func (s State) isBeingDeleted() bool {
	for _, call := range s.Calls {
		if call.Handle != "" {
			return true
		}
	}
	return s.Processes[0].Deletion >= Deleting || s.Processes[1].Deletion >= Deleting || s.Volume.Handle != s.PV.Handle
}

// userKeeps adds what is done about volumes that are retained.
func (b *moves) userKeeps() {
	s := b.from
	if s.PV.Keep && s.PV.Released && !s.PV.Finalizer {
		b.may(0, "the user deletes the PV, to keep the volume", func(s *State) {
			s.Volume.Kept = s.Volume.Handle == s.PV.Handle && !s.TooLate
			s.Volume.Dropped = s.Volume.Dropped || s.Volume.Handle == s.PV.Handle
			s.PV = PV{}
		})
	}
	if s.Volume.Kept && s.PV.Handle == "" && b.model.Moved {
		b.may(0, "the user creates a PV of another name for the volume", func(s *State) {
			s.PV = PV{Handle: s.Volume.Handle, Keep: true, Released: true, Moved: true}
			s.TooLate = s.TooLate || s.isBeingDeleted()
			s.Volume.Kept, s.Volume.Dropped = false, false
		})
	}
	if !b.model.Mistakes {
		return
	}
	if s.PV.Keep && !s.PV.Finalizer && s.Claim == Unbound {
		b.may(0, "the user deletes the PV before the claim is bound", func(s *State) {
			s.Volume.Dropped = s.Volume.Handle == s.PV.Handle
			s.PV = PV{}
		})
	}
	if s.Volume.Kept && s.PV.Handle == "" {
		b.may(0, "the user creates the PV again", func(s *State) {
			s.PV = PV{Handle: s.Volume.Handle, Keep: true, Released: true}
			s.Volume.Kept, s.Volume.Dropped = false, false
		})
	}
}

// cluster adds what Kubernetes does, and the writes that the API server got from
// processes that have ended.
func (b *moves) cluster() {
	s := b.from
	if s.PV.named().Handle != "" && s.Claim == Unbound {
		b.must(0, "Kubernetes binds the claim", func(s *State) { s.Claim = Bound })
	}
	if s.PV.Handle != "" && s.Claim == Gone {
		b.must(0, "Kubernetes releases the PV", func(s *State) { s.PV.Released = true })
	}
	if !s.LateRecord.IsNone() {
		b.must(0, "a late write of a record is lost", func(s *State) { s.LateRecord = Record{} })
		if slot, ok := s.freeSlot(); ok {
			b.must(0, "a late write of a record is done", func(s *State) {
				late := s.LateRecord
				s.LateRecord = Record{}
				s.put(slot, late)
			})
		}
	}
	if s.LatePV != "" {
		b.must(0, "a late write of the PV is lost", func(s *State) { s.LatePV = "" })
		b.must(0, "a late write of the PV is done", func(s *State) {
			if s.PV.Handle == "" {
				b.model.storePV(s, s.LatePV)
			}
			s.LatePV = ""
		})
	}
}

// storePV makes a new object, which nobody has deleted yet.
func (m Model) storePV(s *State, handle Handle) {
	s.PV = PV{Handle: handle, Keep: m.Retain, Finalizer: !m.Retain}
	s.Processes[0].Deleted, s.Processes[1].Deleted = "", ""
}

// freeSlot returns a place for a record that neither the journal nor a process uses.
func (s State) freeSlot() (int, bool) {
	for slot, stored := range s.Records {
		if stored.IsNone() && s.Processes[0].Known[slot] == None && s.Processes[1].Known[slot] == None {
			return slot, true
		}
	}
	return 0, false
}

// lease adds what becomes of the lease.
func (b *moves) lease(who Holder) {
	s, p := b.from, b.from.Processes[who-1]
	switch {
	case s.Lease == who && p.Leads && s.Left.Pauses > 0:
		b.may(who, "is paused until its lease has run out", func(s *State) { s.Lease = 0; s.Left.Pauses-- })
	case s.Lease == who && !p.Leads:
		b.must(who, "was the holder, and its lease runs out", func(s *State) { s.Lease = 0 })
	}
	if !p.Leads && (s.Lease == 0 || s.Lease == who) {
		b.must(who, "takes the lease", func(s *State) { s.Lease = who; s.Processes[who-1].Leads = true })
	}
	if p.Leads && s.Lease != who {
		b.must(who, "notices that its lease is lost, ends and starts again", func(s *State) { s.end(who) })
	}
}

// caches adds that a cache catches up. Those of a standby do not matter when it will
// refresh them before it reads them; otherwise it is enough that they may be behind.
func (b *moves) caches(who Holder) {
	ready := b.from.Processes[who-1].Ready
	switch {
	case !ready && b.model.FreshStart:
	case !ready:
		b.must(who, "sees everything as it is", func(s *State) { b.model.seeAll(s, who) })
	default:
		b.must(who, "sees the claim as it is", func(s *State) { s.Processes[who-1].Claim = s.Claim })
		b.must(who, "sees the PV as it is", func(s *State) { b.model.seePV(s, who) })
		b.must(who, "sees the grant as it is", func(s *State) { s.Processes[who-1].Revoked = s.Revoked })
	}
}

func (m Model) seeAll(s *State, who Holder) {
	p := &s.Processes[who-1]
	p.Claim, p.Revoked = s.Claim, s.Revoked
	m.seePV(s, who)
}

// seePV notes the PersistentVolume as it is. A leader has caught up then.
func (m Model) seePV(s *State, who Holder) {
	p := &s.Processes[who-1]
	p.PV, p.Caught = s.PV, p.Ready
	if m.FreshStart && m.Remember && p.Caught && p.PV.Handle != "" && p.Attempt.Phase == attempt.Idle {
		m.observe(s, who, attempt.Event{What: attempt.Found})
	}
}

// crash adds that a process ends at once; another takes its place.
func (b *moves) crash(who Holder) {
	s, p := b.from, b.from.Processes[who-1]
	if !p.Leads || s.Left.Crashes == 0 {
		return
	}
	b.may(who, "crashes and starts again", func(s *State) { s.Left.Crashes--; s.end(who) })
	if s.Lease != who || !p.Ready || p.Busy != attempt.Wait {
		return
	}
	switch step := attempt.Next(p.Attempt, b.model.facts(s, who)); {
	case b.model.LatePVs && step.Do == attempt.Store && s.LatePV == "":
		b.may(who, "crashes while its write of the PV is under way", func(s *State) {
			s.Left.Crashes--
			s.LatePV = p.Attempt.Handle
			s.end(who)
		})
	case b.model.LateRecords && step.Do == attempt.Record && s.LateRecord.IsNone():
		b.may(who, "crashes while its write of a record is under way", func(s *State) {
			s.Left.Crashes--
			s.LateRecord = p.newRecord(step)
			s.end(who)
		})
	}
}

// end takes a process' memory. Its calls stay under way.
func (s *State) end(who Holder) {
	s.Processes[who-1] = Process{}
	for i := range s.Calls {
		if s.Calls[i].Owner == who {
			s.Calls[i].Owner = 0
		}
	}
}
