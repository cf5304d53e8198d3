package protocol

import "github.com/csi-provisioner/csi-provisioner/pkg/plan/attempt"

// strangers adds what others than the processes do to the journal. They know everything, and
// can't sign.
func (b *moves) strangers() {
	s := b.from
	slot, free := s.freeSlot()
	if s.Forged < b.model.Forged && free {
		b.forge(slot)
	}
	if b.model.Restored == 0 {
		return
	}
	for _, stored := range s.Records {
		if s.Backup.IsNone() && !stored.IsNone() && !stored.Forged {
			b.may(0, "a backup is made of a record", func(s *State) { s.Backup, s.Backup.Replaces = stored, 0 })
		}
	}
	if s.Restored < b.model.Restored && free && !s.Backup.IsNone() {
		b.may(0, "the backup is restored", func(s *State) {
			restored := s.Backup
			restored.Old = b.model.Old
			s.put(slot, restored)
			s.Restored++
		})
	}
}

// forge adds records that somebody has made up: of a volume to be made, or to be deleted,
// beside the others or in their place.
func (b *moves) forge(slot int) {
	var all places
	for other, stored := range b.from.Records {
		if !stored.IsNone() {
			all = all.with(other)
		}
	}
	for _, plan := range b.model.plans {
		for _, removed := range []Handle{"", b.from.Volume.Handle} {
			b.may(0, "somebody forges a record", func(s *State) {
				s.Forged++
				s.put(slot, Record{Plans: attempt.NewPlans(false, plan), Handle: removed, Forged: true, Replaces: all})
			})
		}
	}
}

// judge tells whether a process acts upon a record. It signs one that nobody has signed, as
// far as the claim confirms it, before it does.
func (m Model) judge(s *State, who Holder, slot int) (counts bool) {
	r, there := &s.Records[slot], s.Claim != Gone
	if !m.LookForClaim {
		there = s.Processes[who-1].Claim != Gone
	}
	stored := m.Needless && s.PV.named().Handle != ""
	switch {
	case r.Forged && m.Signed:
		if !there || stored || r.Plans.Current() != m.plans[s.Class] {
			return false
		}
		r.Handle, r.Replaces = "", 0
		r.Forged = !m.SignAgain
	case r.Old && m.SetAside:
		return there && !stored
	}
	return true
}

// waits tells whether a record may stay, for a person to decide about it.
func (r Record) waits() bool { return r.Forged || r.Old }

// carried tells whether a PersistentVolume carries the volume with that handle.
func (m Model) carried(s State, handle Handle) bool { return m.Holder && s.PV.Handle == handle }
