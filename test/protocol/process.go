package protocol

// process adds what a process that leads, or believes so, does itself.
func (b *moves) process(who Holder) {
	p := b.from.Processes[who-1]
	if !p.Ready {
		b.must(who, "reads the journal", func(s *State) { b.model.readJournal(s, who) })
		return
	}
	for slot := range p.Intents {
		if p.Intents[slot] == Ended {
			b.must(who, "removes an intent that has ended", func(s *State) {
				s.Intents[slot], s.Processes[who-1].Intents[slot] = Record{}, None
			})
		}
	}
	switch p.Stage {
	case Idle:
		b.begin(who)
		b.deletion(who)
		if b.model.ReadAgain {
			b.must(who, "reads the journal again", func(s *State) { b.model.readJournal(s, who) })
		}
	case Inheriting:
		b.must(who, "looks for the PV of an intent", func(s *State) { b.model.inherit(s, who) })
	case Recorded:
		if p.Claim == Gone {
			b.must(who, "drops an intent without a call", func(s *State) { s.Processes[who-1].finish() })
			return
		}
		b.create(who)
	case Ambiguous:
		b.replace(who)
		b.create(who)
	case Uncertain:
		b.create(who)
	case Made:
		b.store(who)
	case Useless:
		b.discard(who)
	case Deleted:
		b.must(who, "deletes the PV", func(s *State) {
			p := &s.Processes[who-1]
			if s.PV.Handle == p.Handle {
				s.PV, s.Retired = PV{}, true
			}
			p.Deleted, p.Stage, p.Handle = p.Handle, Idle, 0
		})
	case Creating, Removing, Deleting:
	}
}

// readJournal takes up what former processes have left.
func (m Model) readJournal(s *State, who Holder) {
	p := &s.Processes[who-1]
	if m.FreshStart && !p.Ready {
		p.Claim, p.PV = s.Claim, s.PV
		p.Known = p.Known || m.Remember && s.PV.Handle != 0
	}
	p.Ready = true
	for slot, record := range s.Intents {
		if record.Request == 0 || p.Intents[slot] != None {
			continue
		}
		p.Intents[slot] = Open
		p.Inherited = true
		if record.Useless != 0 {
			p.Marked, p.Handle = true, record.Useless
		}
		switch {
		case record.Request > p.Request:
			p.Request, p.Replaced = record.Request, p.Request
		case record.Request < p.Request:
			p.Replaced = record.Request
		}
	}
	switch {
	case p.Marked:
		p.Stage = Useless
	case p.Inherited:
		p.Stage = Inheriting
	}
	if p.Inherited && !m.ExactRepeat {
		p.Request, p.Replaced = s.Class, 0
	}
}

// inherit ends an intent whose PersistentVolume is stored.
func (m Model) inherit(s *State, who Holder) {
	p := &s.Processes[who-1]
	seen := p.PV
	if m.LookForPV {
		seen = s.PV
	}
	if seen.Handle != 0 {
		p.finish()
		p.Known = m.Expectation || m.Remember
		return
	}
	p.Stage = Uncertain
}

// wants tells whether a process without an attempt would begin one.
func (m Model) wants(s State, p Process) bool {
	if !p.Ready || p.Stage != Idle || p.Claim != Unbound || p.PV.Handle != 0 {
		return false
	}
	if p.Known && !m.Remember {
		return false
	}
	for slot, intent := range p.Intents {
		if intent == Ended && s.Intents[slot].Useless != 0 {
			return false // It would be taken for the next volume's.
		}
	}
	return !p.Known && !m.AlwaysAsk || s.Claim == Unbound && s.PV.Handle == 0
}

func (b *moves) begin(who Holder) {
	if !b.model.wants(b.from, b.from.Processes[who-1]) {
		return
	}
	b.record(who, "writes an intent", func(s *State, p *Process) { p.Stage, p.Request = Recorded, s.Class })
}

// replace lets a changed request take the place of one that is over.
func (b *moves) replace(who Holder) {
	p := b.from.Processes[who-1]
	if p.Claim == Gone || p.Request == b.from.Class || p.Replaced != 0 {
		return
	}
	b.record(who, "writes an intent for the changed request", func(s *State, p *Process) {
		p.Request, p.Replaced = s.Class, p.Request
	})
}

// record writes an intent for the request of now.
func (b *moves) record(who Holder, what string, then func(s *State, p *Process)) {
	if !b.model.Journal {
		b.must(who, "plans the volume", func(s *State) { then(s, &s.Processes[who-1]) })
		return
	}
	slot, ok := b.from.freeSlot()
	if !ok {
		return
	}
	b.must(who, what, func(s *State) {
		p := &s.Processes[who-1]
		s.Intents[slot], p.Intents[slot] = Record{Request: s.Class}, Open
		then(s, p)
	})
	b.fault(who, what+", which has no answer", func(s *State) {
		s.Intents[slot] = Record{Request: s.Class}
		if b.model.DropUncertain {
			s.Processes[who-1].Intents[slot] = Ended
		}
	})
}

func (b *moves) create(who Holder) {
	b.must(who, "calls CreateVolume", func(s *State) {
		p := &s.Processes[who-1]
		if b.model.send(s, Call{Request: p.Request, Owner: who}) {
			p.Stage, p.Undo = Creating, p.Claim == Gone
		}
	})
}

// discard deletes a volume that is of no use.
func (b *moves) discard(who Holder) {
	p := b.from.Processes[who-1]
	if p.Marked || !b.model.MarkUseless {
		b.remove(who, Removing, p.Handle)
		return
	}
	b.must(who, "marks the intents: the volume is useless", func(s *State) {
		p := &s.Processes[who-1]
		p.Marked = true
		for slot, intent := range p.Intents {
			if intent == Open {
				s.Intents[slot].Useless = p.Handle
			}
		}
	})
}

func (b *moves) remove(who Holder, stage Stage, handle Handle) {
	b.must(who, "calls DeleteVolume", func(s *State) {
		if b.model.send(s, Call{Handle: handle, Owner: who}) {
			p := &s.Processes[who-1]
			p.Stage, p.Handle = stage, handle
		}
	})
}

// store stores the PersistentVolume of a volume that is made.
func (b *moves) store(who Holder) {
	made := b.from.Processes[who-1].Handle
	switch there := b.from.PV.Handle; {
	case there == 0:
		b.must(who, "stores the PV", func(s *State) { b.model.storePV(s, made); b.model.stored(s, who) })
		b.fault(who, "stores the PV, and gets no answer", func(s *State) {
			b.model.storePV(s, made)
			s.Processes[who-1].Sent = true
		})
	case there == made || !b.model.Compare:
		b.must(who, "finds the PV stored", func(s *State) { b.model.stored(s, who) })
	default:
		b.must(who, "finds a PV of another volume", func(s *State) { s.Processes[who-1].Stage = Useless })
	}
	b.fault(who, "may not store the PV", func(s *State) { b.model.refused(s, who) })
}

// stored ends an attempt whose PersistentVolume is at the API server.
func (m Model) stored(s *State, who Holder) {
	p := &s.Processes[who-1]
	p.finish()
	p.Known = m.Expectation || m.Remember
}

// refused finds no use for a volume, unless its PersistentVolume is stored, or
// may have been.
func (m Model) refused(s *State, who Holder) {
	p := &s.Processes[who-1]
	switch {
	case m.LookWhenRefused && s.PV.Handle == p.Handle:
		m.stored(s, who)
	case m.KeepSent && m.Retain && (p.Inherited || p.Sent):
	default:
		p.Stage = Useless
	}
}

// deletion adds what is done about a PersistentVolume that is stored.
func (b *moves) deletion(who Holder) {
	p := b.from.Processes[who-1]
	closed := p.Intents == [slots]Intent{}
	if p.PV.Released && !p.PV.Keep && p.PV.Handle != p.Deleted && (closed || !b.model.DeletionWaits) {
		b.remove(who, Deleting, p.PV.Handle)
	}
	if p.PV.Keep && p.PV.Finalizer && (closed || !b.model.FinalizerWaits) {
		b.must(who, "removes the finalizer of a PV to be kept", func(s *State) { s.PV.Finalizer = false })
	}
}

// finish ends an attempt. The journal hears of it later.
func (p *Process) finish() {
	for slot, intent := range p.Intents {
		if intent == Open {
			p.Intents[slot] = Ended
		}
	}
	p.Stage, p.Request, p.Replaced, p.Handle = Idle, 0, 0, 0
	p.Inherited, p.Sent, p.Undo, p.Marked = false, false, false, false
}

// fallBackOrEnd goes on with the request that was replaced; if there is none,
// there is no volume.
func (p *Process) fallBackOrEnd(stage Stage) {
	if p.Replaced == 0 {
		p.finish()
		return
	}
	p.Stage, p.Request, p.Replaced = stage, p.Replaced, 0
}
