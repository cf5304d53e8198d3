package protocol

// driver adds what the driver does with the calls that it has.
func (b *moves) driver() {
	for i, call := range b.from.Calls {
		switch {
		case call == Call{}:
			continue
		case call.Request != 0:
			b.must(call.Owner, "CreateVolume: is done", func(s *State) {
				s.over(i)
				handle, ok := b.model.makeVolume(s, call.Request)
				b.model.created(s, call.Owner, handle, ok)
			})
			b.createFaults(i, call)
		default:
			b.must(call.Owner, "DeleteVolume: is done", func(s *State) {
				s.over(i)
				s.deleteVolume(call.Handle)
				s.deleted(call.Owner)
			})
		}
		if call.Owner == 0 {
			b.must(0, "a call whose process has ended does not reach the driver", func(s *State) { s.over(i) })
			continue
		}
		b.fault(call.Owner, "gives a call up that may still be done", func(s *State) {
			s.Calls[i].Owner = 0
			b.model.givenUp(&s.Processes[call.Owner-1])
		})
	}
}

func (b *moves) createFaults(i int, call Call) {
	if call.Owner == 0 {
		return
	}
	if b.from.Volume.Handle == 0 {
		b.fault(call.Owner, "CreateVolume: fails for good", func(s *State) {
			s.over(i)
			s.Processes[call.Owner-1].fallBackOrEnd(Ambiguous)
		})
	}
	b.fault(call.Owner, "CreateVolume: fails, and may have left a volume", func(s *State) {
		s.over(i)
		b.model.ambiguous(&s.Processes[call.Owner-1])
	})
	b.fault(call.Owner, "CreateVolume: fails after its work", func(s *State) {
		s.over(i)
		b.model.makeVolume(s, call.Request)
		b.model.ambiguous(&s.Processes[call.Owner-1])
	})
}

// send puts a call under way, if the driver takes it: what it aborts is sent
// again later.
func (m Model) send(s *State, call Call) bool {
	free := -1
	for i, other := range s.Calls {
		switch {
		case other == Call{}:
			free = i
		case m.Serial == ByVolume, m.Serial == ByCall && (other.Request == 0) == (call.Request == 0):
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

// makeVolume is CreateVolume; false is ALREADY_EXISTS.
func (m Model) makeVolume(s *State, request Request) (Handle, bool) {
	if s.Volume.Handle == 0 {
		s.Handles++
		if s.Retired && !m.Lenient {
			s.Harm = MadeAgain
		}
		s.Volume = Volume{Handle: s.Handles, Request: request}
		if m.SameHandle {
			s.Volume.Handle = 1
		}
	}
	return s.Volume.Handle, s.Volume.Request == request
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
	case s.PV.Handle == handle && s.PV.Keep:
		s.Harm = RetainedDeleted
	}
	s.Volume = Volume{}
}

// created hands the answer of CreateVolume to the process that waits for it.
func (m Model) created(s *State, who Holder, handle Handle, ok bool) {
	if who == 0 {
		return
	}
	p := &s.Processes[who-1]
	switch {
	case !ok:
		p.fallBackOrEnd(Uncertain)
	case p.Undo && !(p.Inherited && m.Retain && m.RestorePV):
		p.Stage, p.Handle = Useless, handle
	default:
		p.Stage, p.Handle = Made, handle
	}
}

// deleted hands the answer of DeleteVolume to the process that waits for it.
func (s *State) deleted(who Holder) {
	if who == 0 {
		return
	}
	p := &s.Processes[who-1]
	if p.Stage == Deleting {
		p.Stage = Deleted
		return
	}
	p.finish()
}

func (m Model) givenUp(p *Process) {
	switch {
	case p.Stage == Removing:
		p.Stage = Useless
	case p.Stage == Deleting:
		p.Stage, p.Handle = Idle, 0
	case m.PendingOpen:
		p.Stage = Uncertain
	default:
		p.finish()
	}
}

func (m Model) ambiguous(p *Process) {
	if m.AmbiguousOpen {
		p.Stage = Ambiguous
		return
	}
	p.finish()
}
