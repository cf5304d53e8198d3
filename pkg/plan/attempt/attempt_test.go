package attempt_test

import (
	"fmt"
	"slices"
	"testing"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	corev1 "k8s.io/api/core/v1"

	. "github.com/csi-provisioner/csi-provisioner/pkg/plan/attempt"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
)

// newPlan returns a plan whose request differs from those of other tiers.
func newPlan(tier string, change ...func(*provision.Plan)) *provision.Plan {
	p := &provision.Plan{
		Request: &csipb.CreateVolumeRequest{Name: "pvc-1", Parameters: map[string]string{"tier": tier}},
		Volume: &corev1.PersistentVolume{Spec: corev1.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
		}},
	}
	for _, c := range change {
		c(p)
	}
	return p
}

func retained(p *provision.Plan) {
	p.Volume.Spec.PersistentVolumeReclaimPolicy = corev1.PersistentVolumeReclaimRetain
}

func local(p *provision.Plan) { p.Reschedule = true }

// states returns states of all kinds.
func states() []State {
	gold, silver := newPlan("gold"), newPlan("silver", retained, local)
	var all []State
	for _, phase := range Phases() {
		for _, plans := range []Plans{
			{}, NewPlans(false, gold), NewPlans(true, silver), NewPlans(false, silver, gold), NewPlans(true, gold, silver),
		} {
			if phase.Open() && plans.Current() == nil {
				continue
			}
			for _, past := range []Past{Never, Earlier, Sent} {
				for news := None; news <= Elsewhere; news++ {
					for _, handle := range []string{"", "h-1"} {
						all = append(all, State{Phase: phase, Plans: plans, Past: past, News: news, Handle: handle})
					}
				}
			}
		}
	}
	return all
}

// events returns events of all kinds.
func events() []Event {
	var all []Event
	for _, what := range Events() {
		all = append(all, Event{What: what, Plans: NewPlans(false, newPlan("bronze"))}, Event{What: what, Plans: NewPlans(true, newPlan("bronze"), newPlan("tin")), Handle: "h-2"})
	}
	for _, answer := range Answers() {
		all = append(all, Event{What: Failed, Answer: answer}, Event{What: Failed, Answer: answer, Blind: true})
	}
	return all
}

// TestNothingIsForgotten: whatever happens, in whatever state, an attempt that is open
// ends by End only, and only when its volume is certainly stored or does not exist.
func TestNothingIsForgotten(t *testing.T) {
	proofs := 0
	for _, s := range states() {
		for _, e := range events() {
			after := Observe(s, e)
			if after != Observe(s, e) {
				t.Fatalf("%v in %+v: not deterministic", e.What, s)
			}
			if e.What == Recalled && !after.Phase.Open() {
				t.Errorf("a record is not taken up in phase %s", s.Phase)
			}
			if s.Phase.Open() && !after.Phase.Open() && e.What != Ended {
				t.Errorf("%s ends the attempt in phase %s", e.What, s.Phase)
			}
			if after.Phase == Void && s.Phase != Void {
				proofs++
				removal := s.Phase == Removing || s.Phase == Clearing && !s.Plans.Inexact
				proved := (e.What == Removed || e.What == VolumeTaken) && removal || e.What == VolumeTaken && s.Phase == Made ||
					e.What == Failed && !e.Blind && !s.Plans.Inexact && len(s.Plans.All()) == 1
				if !proved {
					t.Errorf("%s (%s, blind %t) counts as proof that there is no volume in %+v", e.What, e.Answer, e.Blind, s)
				}
			}
			if after.Phase.Open() && after.Plans.Current() == nil {
				t.Errorf("no plan is left after %s in %+v", e.What, s)
			}
			if (e.What == Undone || e.What == Withdrawn || e.What == Reported) && after.Phase != s.Phase {
				t.Errorf("%s leads from %s to %s", e.What, s.Phase, after.Phase)
			}
		}
	}
	if proofs == 0 {
		t.Error("nothing ever proves that there is no volume")
	}
}

// TestNextIsTotal: there is a step for each state and claim, and it fits the phase.
func TestNextIsTotal(t *testing.T) {
	for _, s := range states() {
		for _, c := range []Claim{{Want: Wanted}, {Want: Wanted, Plan: newPlan("new")}, {Want: Left}, {Want: Revoked}} {
			step := Next(s, c)
			if step != Next(s, c) {
				t.Errorf("not deterministic in %+v", s)
			}
			if s.Phase.Open() && step.Do == Wait {
				t.Errorf("an open attempt waits in %+v", s)
			}
			if step.Do == Remove && s.Phase != Removing && s.Phase != Clearing {
				t.Errorf("a volume is removed that was not marked, in %+v", s)
			}
			if step.Do == Store && s.Phase != Made || step.Do == End && s.Phase != Void && s.Phase != Stored && s.Phase != Recorded {
				t.Errorf("%s in %+v", step.Do, s)
			}
			if step.Do == Store && c.Want == Revoked && s.Past != Sent {
				t.Errorf("data is handed over whose grant is revoked, in %+v", s)
			}
			if step.Do == Create && c.Want == Wanted && s.News != None {
				t.Errorf("%d is not told before the driver is called again, in %+v", s.News, s)
			}
		}
	}
}

// TestWhatAnAnswerProves is the table of the package comment.
func TestWhatAnAnswerProves(t *testing.T) {
	only := NewPlans(false, newPlan("gold"))
	type result struct {
		phase Phase
		news  News
	}
	for answer, want := range map[Answer]struct{ first, again result }{
		Pending:    {result{Uncertain, Blocked}, result{Uncertain, Blocked}},
		Internal:   {result{Ambiguous, Blocked}, result{Ambiguous, Blocked}},
		Denied:     {result{Void, Refused}, result{Ambiguous, Blocked}},
		Unprepared: {result{Void, Refused}, result{Ambiguous, Blocked}},
		Exhausted:  {result{Void, Refused}, result{Ambiguous, Blocked}},
		Exists:     {result{Void, Refused}, result{Void, Refused}},
		Invalid:    {result{Void, Infeasible}, result{Void, Infeasible}},
		Final:      {result{Void, Refused}, result{Void, Refused}},
	} {
		for _, phase := range []Phase{Recorded, Uncertain, Ambiguous} {
			expected := want.again
			if phase == Recorded {
				expected = want.first
			}
			got := Observe(State{Phase: phase, Plans: only}, Event{What: Failed, Answer: answer})
			if got.Phase != expected.phase || got.News != expected.news {
				t.Errorf("%s in phase %s: phase %s, news %d, want %+v", answer, phase, got.Phase, got.News, expected)
			}
			if answer == Pending {
				continue
			}
			blind := Observe(State{Phase: phase, Plans: only}, Event{What: Failed, Answer: answer, Blind: true})
			inexact := Observe(State{Phase: phase, Plans: NewPlans(true, only.Current())}, Event{What: Failed, Answer: answer})
			if blind.Phase != Ambiguous || !inexact.Phase.Open() || inexact.Phase == Void {
				t.Errorf("%s in phase %s: phase %s without the Secret, %s of an inexact request", answer, phase, blind.Phase, inexact.Phase)
			}
		}
	}
}

// TestFullNode: a node that is full after an open outcome is asked once more before
// another one is chosen, and its request is remembered.
func TestFullNode(t *testing.T) {
	here := NewPlans(false, newPlan("gold", local))
	full := Event{What: Failed, Answer: Exhausted}
	first := Observe(State{Phase: Recorded, Plans: here}, full)
	if first.Phase != Void || first.News != Elsewhere {
		t.Errorf("at first: %+v", first)
	}
	once := Observe(State{Phase: Uncertain, Plans: here}, full)
	if once.Phase != Full || once.News != Blocked {
		t.Errorf("once: %+v", once)
	}
	twice := Observe(Observe(once, Event{What: Reported}), full)
	if twice.Phase != Ambiguous || twice.News != Elsewhere || twice.Plans != here {
		t.Errorf("twice: %+v", twice)
	}
}

// TestPlansAreBounded: however often the request is replaced, few are remembered, and
// that there were others.
func TestPlansAreBounded(t *testing.T) {
	s := State{}
	for n := range 100 {
		c := Claim{Plan: newPlan(fmt.Sprint(n))}
		step := Next(s, c)
		if step.Do != Record {
			t.Fatalf("try %d: %s", n, step.Do)
		}
		s = Observe(s, Event{What: Written, Plans: step.Plans})
		s = Observe(s, Event{What: Failed, Answer: Internal})
		s = Observe(s, Event{What: Reported})
		if got := len(s.Plans.All()); got != min(n+1, MaxPlans) || s.Plans.Current() != c.Plan {
			t.Fatalf("try %d: %d plans are remembered", n, got)
		}
		if s.Plans.Inexact != (n >= MaxPlans) {
			t.Fatalf("try %d: inexact is %t", n, s.Plans.Inexact)
		}
	}
	for range 2 * MaxPlans {
		s = Observe(s, Event{What: Failed, Answer: Exists})
		if s.Phase == Void {
			t.Fatal("a request that is not remembered may have made the volume")
		}
	}
}

// TestRecalledPlans: records of other processes add to what may have made the volume.
func TestRecalledPlans(t *testing.T) {
	gold, silver := newPlan("gold"), newPlan("silver")
	s := Observe(State{}, Event{What: Recalled, Plans: NewPlans(false, gold)})
	s = Observe(s, Event{What: Recalled, Plans: NewPlans(true, silver, newPlan("gold")), Handle: "h-1"})
	if s.Phase != Inherited || !slices.Equal(s.Plans.All(), []*provision.Plan{gold, silver}) || !s.Plans.Inexact || s.Handle != "h-1" {
		t.Errorf("inherited: %+v", s)
	}
	s = Observe(s, Event{What: Absent})
	if s.Phase != Clearing || s.Past != Earlier {
		t.Errorf("a volume whose removal is recorded: %+v", s)
	}
	open := Observe(State{Phase: Uncertain, Plans: NewPlans(false, gold)}, Event{What: Recalled, Plans: NewPlans(false, silver), Handle: "h-1"})
	if open.Phase != Uncertain || !slices.Equal(open.Plans.All(), []*provision.Plan{gold, silver}) || open.Handle != "" {
		t.Errorf("open: %+v", open)
	}
}

// TestRemovalThatAnotherProcessRecorded: it is the end if that is all that is known. If
// records disagree, another volume may have been made after it, and the driver is asked
// again, by a record without the removal.
func TestRemovalThatAnotherProcessRecorded(t *testing.T) {
	gold := NewPlans(false, newPlan("gold"))
	removal := Event{What: Recalled, Plans: gold, Handle: "h-1"}
	request := Event{What: Recalled, Plans: gold}
	other := Event{What: Recalled, Plans: gold, Handle: "h-2"}
	for name, c := range map[string]struct {
		records []Event
		want    Phase
	}{
		"one record":                   {[]Event{removal}, Void},
		"two that agree":               {[]Event{removal, removal}, Void},
		"one does not know of it":      {[]Event{removal, request}, Cleared},
		"the older one does not know":  {[]Event{request, removal}, Cleared},
		"two removals":                 {[]Event{removal, other}, Cleared},
		"one that is not complete":     {[]Event{{What: Recalled, Plans: NewPlans(true, gold.Current()), Handle: "h-1"}}, Cleared},
		"another, and a late agreeing": {[]Event{removal, request, removal}, Cleared},
	} {
		s := State{}
		for _, e := range c.records {
			s = Observe(s, e)
		}
		s = Observe(s, Event{What: Absent})
		if step := Next(s, Claim{}); step.Do != Remove || step.Handle == "" {
			t.Errorf("%s: %+v", name, step)
		}
		s = Observe(s, Event{What: Removed})
		if s.Phase != c.want {
			t.Errorf("%s: phase %s, want %s", name, s.Phase, c.want)
		}
		if c.want != Cleared {
			continue
		}
		step := Next(s, Claim{Want: Left})
		if step.Do != Record || step.Handle != "" || step.Plans != s.Plans {
			t.Errorf("%s: then %+v", name, step)
		}
		s = Observe(s, Event{What: Written, Plans: step.Plans})
		if step := Next(s, Claim{Want: Left}); step.Do != Create {
			t.Errorf("%s: then %s", name, step.Do)
		}
	}
}

// TestLateRecordOfAStoredVolume: a removal that it tells of is not carried out; a request
// may have been sent.
func TestLateRecordOfAStoredVolume(t *testing.T) {
	gold := NewPlans(false, newPlan("gold"))
	removal := Observe(State{Phase: Settled}, Event{What: Recalled, Plans: gold, Handle: "h-1"})
	if step := Next(removal, Claim{Want: Left}); step.Do != End {
		t.Errorf("removal: %s", step.Do)
	}
	if after := Observe(removal, Event{What: Ended}); after != (State{Phase: Settled}) {
		t.Errorf("removal, ended: %+v", after)
	}
	if request := Observe(State{Phase: Settled}, Event{What: Recalled, Plans: gold}); request.Phase != Inherited {
		t.Errorf("request: %+v", request)
	}
}

// TestRemovalIsDurableBeforeTheNext: as long as a record says that a volume is to be
// removed, no volume may be made that could have the same handle.
func TestRemovalIsDurableBeforeTheNext(t *testing.T) {
	s := State{Phase: Removing, Plans: NewPlans(false, newPlan("gold")), Handle: "h-1"}
	if step := Next(Observe(s, Event{What: Removed}), Claim{}); step.Do != End || !step.Durable {
		t.Errorf("after the removal: %+v", step)
	}
	if step := Next(State{Phase: Void, Plans: s.Plans}, Claim{}); step.Do != End || step.Durable {
		t.Errorf("after a refusal: %+v", step)
	}
}

// TestRecordedButNeverSent: what was never sent ends without a call, and gives way to
// another plan.
func TestRecordedButNeverSent(t *testing.T) {
	gold, silver := newPlan("gold"), newPlan("silver")
	s := State{Phase: Recorded, Plans: NewPlans(false, gold)}
	if step := Next(s, Claim{Want: Left}); step.Do != End {
		t.Errorf("left: %s", step.Do)
	}
	if step := Next(s, Claim{Plan: silver}); step.Do != Record || !slices.Equal(step.Plans.All(), []*provision.Plan{silver}) {
		t.Errorf("changed: %+v", step)
	}
	s.Plans = NewPlans(false, silver, gold)
	if step := Next(s, Claim{Want: Left}); step.Do != Create {
		t.Errorf("left, and an earlier request was sent: %s", step.Do)
	}
}
