package audit

import (
	"cmp"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/types"
)

// Compare says what the evidence shows. It is a total, pure function; the slices
// of the report are not nil.
//
// Volumes are made and deleted while an audit runs, so that no two lists fit
// together. These rules make up for it.
//
// Whoever makes volumes with this program keeps to one order: intent,
// CreateVolume, PersistentVolume, end of the intent; and DeleteVolume, end of the
// PersistentVolume (or, for a volume that nobody wants any more, of the intent).
// So at each moment of its life a volume has an intent or a PersistentVolume.
//
// Unknown. A look lists volumes, then intents, then PersistentVolumes. A volume
// that was listed and still exists when the intents are read has an intent then,
// which is seen, or a PersistentVolume. One that goes from the intent to the
// PersistentVolume has the latter before it loses the former, so that the later
// read shows it; and a PersistentVolume that has gone between the two has lost its
// volume before. Hence, what is listed and neither an intent's nor a
// PersistentVolume's has ceased to exist by then, or nobody knows it. The former
// is not listed by the second look. So unknown is only what every look lists
// and no look knows.
//
// In creation. An intent tells the volume's name, and ListVolumes the handle. Many
// drivers show the name in handle or context. With others it can't be told which
// volume is an intent's, but only that each intent has one at most, and that a
// volume that every look lists, and that some intent is still about, has had that
// intent in all looks but perhaps the last: there it may have ended, and the
// volume with it, after the driver was asked. While there are such intents without
// a PersistentVolume, what would be unknown is unclear; as far as there are more of
// these volumes than intents, the rest is unknown for certain. A volume that only
// the last look lists has come meanwhile, and counts as in creation; the next audit
// will tell.
//
// Gone. A volume that exists may be missing in a list, if others come and go (CSI
// spec, ListVolumes), or because it was made later, or because it is deleted
// before its PersistentVolume. So gone is only what no look lists, and that has
// the same PersistentVolume, not being deleted, before the first look and at the
// end of the last one.
func Compare(e Evidence) *Report {
	c := newComparison(e)
	r := &Report{Driver: e.Driver, Volumes: []Finding{}, OpenIntents: []Intent{}, Records: []Kept{}, Notes: c.notes()}
	r.Records = append(r.Records, c.last.Kept...)
	r.OpenIntents = append(r.OpenIntents, c.open()...)
	for _, l := range c.listed {
		if finding, there := c.find(l, len(r.OpenIntents)); there {
			r.Volumes = append(r.Volumes, finding)
		}
	}
	r.Volumes = append(r.Volumes, c.gone()...)
	slices.SortStableFunc(r.Volumes, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(slices.Index(states(), a.State), slices.Index(states(), b.State)),
			cmp.Compare(a.VolumeHandle, b.VolumeHandle),
		)
	})
	r.Summary = summarize(r)
	return r
}

// listed is a volume and the looks that list it.
type listed struct {
	Volume
	times  int
	atLast bool
}

// comparison is the evidence, arranged for questions.
type comparison struct {
	Evidence
	last Look
	// listed are the volumes that any look lists, in order of appearance.
	listed  []*listed
	handles map[string]*listed
	// persistent are all PersistentVolumes that were seen, the latest state of
	// each, and by their handle.
	persistent []PersistentVolume
	byHandle   map[string][]PersistentVolume
	// orphans are those of listed that have no PersistentVolume.
	orphans []*listed
	// intents are all that were seen and have no PersistentVolume.
	intents []Intent
}

func newComparison(e Evidence) *comparison {
	c := &comparison{
		Evidence: e,
		last:     e.Looks[len(e.Looks)-1],
		handles:  map[string]*listed{},
		byHandle: map[string][]PersistentVolume{},
	}
	for n, look := range e.Looks {
		for _, v := range look.Volumes {
			c.list(v, n == len(e.Looks)-1)
		}
	}
	c.arrangePersistent()
	for _, l := range c.listed {
		if c.byHandle[l.Handle] == nil {
			c.orphans = append(c.orphans, l)
		}
	}
	c.arrangeIntents()
	return c
}

func (c *comparison) list(v Volume, atLast bool) {
	known := c.handles[v.Handle]
	if known == nil {
		known = &listed{}
		c.handles[v.Handle] = known
		c.listed = append(c.listed, known)
	}
	known.Volume, known.atLast = v, atLast
	known.times++
}

func (c *comparison) arrangePersistent() {
	seen := map[types.UID]struct{}{}
	take := func(all []PersistentVolume) {
		for _, p := range all {
			if _, again := seen[p.UID]; again {
				continue
			}
			seen[p.UID] = struct{}{}
			c.persistent = append(c.persistent, p)
			if p.Handle != "" {
				c.byHandle[p.Handle] = append(c.byHandle[p.Handle], p)
			}
		}
	}
	for _, look := range slices.Backward(c.Looks) {
		take(look.PersistentVolumes)
	}
	take(c.Before)
}

// arrangeIntents keeps what has no PersistentVolume. The name decides: a claim may
// have been bound to another volume while its own was made, which is undone then.
// Only a record that can't be read has no name, and goes by its claim.
func (c *comparison) arrangeIntents() {
	names, claims := map[string]struct{}{}, map[types.UID]struct{}{}
	for _, p := range c.persistent {
		names[p.Name] = struct{}{}
		if p.Claim != nil {
			claims[p.Claim.UID] = struct{}{}
		}
	}
	seen := map[Intent]struct{}{}
	for _, look := range c.Looks {
		for _, intent := range look.Intents {
			_, stored := names[intent.VolumeName]
			if intent.VolumeName == "" {
				_, stored = claims[intent.Claim.UID]
			}
			if _, again := seen[intent]; !again && !stored {
				c.intents = append(c.intents, intent)
			}
			seen[intent] = struct{}{}
		}
	}
}

// open returns the intents that may have a volume that every look lists, and that
// no volume shows to be its.
func (c *comparison) open() []Intent {
	shown := make([]map[Intent]struct{}, max(1, len(c.Looks)-1))
	for n := range shown {
		shown[n] = map[Intent]struct{}{}
		for _, intent := range c.Looks[n].Intents {
			shown[n][intent] = struct{}{}
		}
	}
	var open []Intent
	for _, intent := range c.intents {
		missing := slices.ContainsFunc(shown, func(look map[Intent]struct{}) bool {
			_, there := look[intent]
			return !there
		})
		owns := slices.ContainsFunc(c.orphans, func(l *listed) bool { return intent.shows(l.Volume) })
		if !missing && !owns {
			open = append(open, intent)
		}
	}
	return open
}

// find says what a listed volume is, while so many intents have no volume; false
// for one that is there no longer.
func (c *comparison) find(l *listed, open int) (Finding, bool) {
	finding := Finding{VolumeHandle: l.Handle, CapacityBytes: l.CapacityBytes}
	if owners := c.byHandle[l.Handle]; owners != nil {
		finding.State = Known
		for _, p := range owners {
			finding.PersistentVolumes = append(finding.PersistentVolumes, p.Name)
			if p.Claim != nil {
				finding.Claims = append(finding.Claims, *p.Claim)
			}
		}
		return finding, true
	}
	for _, intent := range c.intents {
		if intent.shows(l.Volume) {
			finding.Claims = append(finding.Claims, intent.Claim)
		}
	}
	always := l.times == len(c.Looks)
	switch {
	case !always && !l.atLast:
		return Finding{}, false
	case len(finding.Claims) > 0, !always:
		finding.State = InCreation
	case open > 0:
		finding.State = Unclear
	default:
		finding.State = Unknown
	}
	return finding, true
}

// gone returns the PersistentVolumes whose volume is.
func (c *comparison) gone() []Finding {
	there := map[types.UID]struct{}{}
	for _, p := range c.last.PersistentVolumes {
		if !p.Deleting && p.Handle != "" {
			there[p.UID] = struct{}{}
		}
	}
	var gone []Finding
	for _, p := range c.Before {
		if _, still := there[p.UID]; !still || c.handles[p.Handle] != nil {
			continue
		}
		finding := Finding{State: Gone, VolumeHandle: p.Handle, CapacityBytes: p.CapacityBytes, PersistentVolumes: []string{p.Name}}
		if p.Claim != nil {
			finding.Claims = []Claim{*p.Claim}
		}
		gone = append(gone, finding)
	}
	return gone
}

// notes says what could not be compared.
func (c *comparison) notes() []string {
	notes := []string{}
	for _, p := range c.last.PersistentVolumes {
		if p.Problem != "" {
			notes = append(notes, fmt.Sprintf("the volume of PersistentVolume %q can't be told, and may be among the unknown ones: %s", p.Name, p.Problem))
		}
	}
	for _, intent := range c.last.Intents {
		if intent.VolumeName == "" {
			notes = append(notes, fmt.Sprintf("the journal's record for the claim with UID %q can't be read: its volume may be among the unclear ones", intent.Claim.UID))
		}
	}
	return notes
}

func summarize(r *Report) Summary {
	var s Summary
	for _, finding := range r.Volumes {
		switch finding.State {
		case Known:
			s.Known++
		case InCreation:
			s.InCreation++
		case Unclear:
			s.Unclear++
		case Unknown:
			s.Unknown++
		case Gone:
			s.Gone++
		}
	}
	s.UnknownAtLeast = s.Unknown + max(0, s.Unclear-len(r.OpenIntents))
	return s
}
