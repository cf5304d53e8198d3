package chaos

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/faults"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/proxy"
)

// rounds is enough for everything to happen that can.
const rounds = 2000

func TestPlanFollowsFromSeedAndRound(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(NewPlan(7, 3, true), NewPlan(7, 3, true)); diff != "" {
		t.Errorf("the same seed and round make another plan:\n%s", diff)
	}
	for name, other := range map[string]Plan{"seed": NewPlan(8, 3, true), "round": NewPlan(7, 4, true)} {
		other.Seed, other.Round = 7, 3
		if cmp.Equal(NewPlan(7, 3, true), other) {
			t.Errorf("another %s makes the same plan", name)
		}
	}
}

// TestPlansAreFair: the programs without failpoints have the same claims and faults,
// and are killed about as often.
func TestPlansAreFair(t *testing.T) {
	t.Parallel()
	kills := map[bool]int{}
	for round := range rounds {
		for _, failpoints := range []bool{false, true} {
			plan := NewPlan(1, round, failpoints)
			for _, trouble := range plan.Troubles {
				if trouble.Kind == faults.KillSidecar {
					kills[failpoints]++
				}
			}
			for _, lives := range plan.Lives {
				kills[failpoints] += len(lives)
				if len(lives) > 0 && !failpoints {
					t.Fatalf("round %d has failpoints: %v", round, lives)
				}
			}
		}
		with, without := NewPlan(1, round, true), NewPlan(1, round, false)
		with.Lives, with.Troubles = without.Lives, without.Troubles
		if diff := cmp.Diff(with, without, cmp.Comparer(sameRule)); diff != "" {
			t.Fatalf("round %d differs in more than its kills:\n%s", round, diff)
		}
	}
	if kills[true] != kills[false] {
		t.Errorf("%d kills with failpoints, %d without", kills[true], kills[false])
	}
}

// sameRule compares what a rule's fields say; the answers are pointers.
func sameRule(a, b proxy.Rule) bool { return reflect.DeepEqual(a, b) }

// TestPlansHaveEverything: each kind of trouble, failpoint and fault comes up.
func TestPlansHaveEverything(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for round := range rounds {
		plan := NewPlan(1, round, true)
		for _, trouble := range plan.Troubles {
			seen[string(trouble.Kind)] = true
			if (trouble.Kind == faults.PauseSidecar || trouble.Kind == faults.StealLease) && plan.Replicas < 2 {
				t.Fatalf("round %d: %s without leader election", round, trouble.Kind)
			}
		}
		for _, lives := range plan.Lives {
			for _, life := range lives {
				seen[life[:strings.LastIndex(life, ":")]] = true
			}
		}
		for _, intrusion := range plan.Intrusions {
			seen[string(intrusion.Kind)] = true
		}
		for _, rule := range plan.Driver {
			seen[rule.Code.String()] = true
		}
	}
	want := []string{}
	for _, kind := range Kinds() {
		want = append(want, string(kind))
	}
	for _, kind := range Intrusions() {
		want = append(want, string(kind))
	}
	for _, point := range Failpoints() {
		want = append(want, "before:"+point, "after:"+point)
	}
	for _, code := range append(faults.Codes(), codes.ResourceExhausted) {
		want = append(want, code.String())
	}
	for _, what := range want {
		if !seen[what] {
			t.Errorf("%s never happens", what)
		}
	}
}

// TestDriverKeepsToItsWord: CSI forbids a driver to say that there is no volume when
// it has made one; no sidecar could know better.
func TestDriverKeepsToItsWord(t *testing.T) {
	t.Parallel()
	for round := range rounds {
		for _, rule := range NewPlan(1, round, true).Driver {
			final := rule.Code == codes.ResourceExhausted && rule.Match.Method == "CreateVolume"
			if final && (rule.When != control.Before || !rule.Match.Absent) {
				t.Fatalf("round %d: %+v", round, rule)
			}
			if err := rule.Validate(); err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
		}
	}
}

// TestSingleIntentsEnd: where a replica is to die when it drops single intents, there
// are volumes that stay in creation meanwhile.
func TestSingleIntentsEnd(t *testing.T) {
	t.Parallel()
	found := 0
	for round := range rounds {
		plan := NewPlan(1, round, true)
		if !strings.Contains(strings.Join(slices.Concat(plan.Lives...), " "), dropIntents) {
			continue
		}
		found++
		if first := plan.Driver[0]; !first.Hang || first.Match.Method != "CreateVolume" || first.Count < 2 {
			t.Fatalf("round %d: %+v", round, first)
		}
	}
	if found == 0 {
		t.Error("there is no such round")
	}
}

func TestClaimsLiveInOrder(t *testing.T) {
	t.Parallel()
	for round := range rounds {
		for _, claim := range NewPlan(1, round, true).Claims {
			if claim.Deleted != Never && claim.Deleted < claim.Made {
				t.Fatalf("round %d: %+v is deleted before it is made", round, claim)
			}
		}
	}
}
