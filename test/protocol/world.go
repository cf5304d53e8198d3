package protocol

// user adds what a user does.
func (b *moves) user() {
	s, world := b.from, b.model.World
	if s.Claim != Gone {
		b.may(0, "the user deletes the claim", func(s *State) { s.Claim = Gone })
	}
	if s.Class == 1 && world.Mended {
		b.may(0, "the user changes the class", func(s *State) { s.Class = 2 })
	}
	if s.PV.Handle != 0 && !s.PV.Keep && !s.PV.Released && world.Patched {
		b.may(0, "the user sets the PV's policy to Retain", func(s *State) { s.PV.Keep = true })
	}
	if s.PV.Keep && s.PV.Released && !s.PV.Finalizer {
		b.may(0, "the user deletes the PV, to keep the volume", func(s *State) {
			s.Volume.Kept = s.Volume.Handle == s.PV.Handle
			s.PV = PV{}
		})
	}
}

// cluster adds what Kubernetes does, and the writes that the API server got from
// processes that have ended.
func (b *moves) cluster() {
	s := b.from
	if s.PV.Handle != 0 && s.Claim == Unbound {
		b.must(0, "Kubernetes binds the claim", func(s *State) { s.Claim = Bound })
	}
	if s.PV.Handle != 0 && s.Claim == Gone {
		b.must(0, "Kubernetes releases the PV", func(s *State) { s.PV.Released = true })
	}
	if s.LateIntent != 0 {
		b.must(0, "a late write of an intent is lost", func(s *State) { s.LateIntent = 0 })
		if slot, ok := s.freeSlot(); ok {
			b.must(0, "a late write of an intent is done", func(s *State) {
				s.Intents[slot].Request, s.LateIntent = s.LateIntent, 0
			})
		}
	}
	if s.LatePV != 0 {
		b.must(0, "a late write of the PV is lost", func(s *State) { s.LatePV = 0 })
		b.must(0, "a late write of the PV is done", func(s *State) {
			if s.PV.Handle == 0 {
				b.model.storePV(s, s.LatePV)
			}
			s.LatePV = 0
		})
	}
}

// storePV makes a new object, which nobody has deleted yet.
func (m Model) storePV(s *State, handle Handle) {
	s.PV = PV{Handle: handle, Keep: m.Retain, Finalizer: !m.Retain}
	s.Processes[0].Deleted, s.Processes[1].Deleted = 0, 0
}

// freeSlot returns a place for an intent that neither the journal nor a process
// uses.
func (s State) freeSlot() (int, bool) {
	for slot, stored := range s.Intents {
		if stored == (Record{}) && s.Processes[0].Intents[slot] == None && s.Processes[1].Intents[slot] == None {
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

// caches adds that a cache catches up. Those of a standby do not matter when it
// will refresh them before it reads them.
func (b *moves) caches(who Holder) {
	if b.model.FreshStart && !b.from.Processes[who-1].Ready {
		return
	}
	b.must(who, "sees the claim as it is", func(s *State) { s.Processes[who-1].Claim = s.Claim })
	b.must(who, "sees the PV as it is", func(s *State) {
		p := &s.Processes[who-1]
		p.PV = s.PV
		switch {
		case s.PV.Handle == 0:
		case b.model.Remember:
			p.Known = true
		default:
			p.Known = false // The expectation is met.
		}
	})
}

// crash adds that a process ends at once; another takes its place.
func (b *moves) crash(who Holder) {
	s, p := b.from, b.from.Processes[who-1]
	if !p.Leads || s.Left.Crashes == 0 {
		return
	}
	b.may(who, "crashes and starts again", func(s *State) { s.Left.Crashes--; s.end(who) })
	if !b.model.LateWrites || s.Lease != who {
		return
	}
	if p.Stage == Made && s.LatePV == 0 {
		b.may(who, "crashes while its write of the PV is under way", func(s *State) {
			s.Left.Crashes--
			s.LatePV = p.Handle
			s.end(who)
		})
	}
	if b.model.wants(s, p) && s.LateIntent == 0 {
		b.may(who, "crashes while its write of an intent is under way", func(s *State) {
			s.Left.Crashes--
			s.LateIntent = s.Class
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
