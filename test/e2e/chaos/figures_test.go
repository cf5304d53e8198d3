package chaos

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/faults"
)

func TestFiguresAddUp(t *testing.T) {
	t.Parallel()
	var f Figures
	if !f.Sound() {
		t.Error("wrong before the first round")
	}
	round := Result{
		Plan:     Plan{Seed: 5, Round: 2, Lives: [][]string{{"after:CreateVolume:1"}}},
		Asked:    30,
		Made:     20,
		Deaths:   Deaths{Killed: 2, Ended: 1, Failpoints: map[string]int{"after:CreateVolume": 1}},
		Troubles: map[faults.Kind]int{faults.KillDriver: 1}, Intrusions: map[IntrusionKind]int{Forge: 3},
		Breaches: []Breach{{Lost, "pvc-1", "volume vol-1 has no PersistentVolume"}},
	}
	f.Add(round)
	f.Add(round)
	if f.Asked != 60 || f.Made != 40 || f.Rounds != 2 || f.Kills() != 6 || f.Flaws[Lost] != 2 || f.Intrusions[Forge] != 6 || f.Sound() {
		t.Errorf("got %+v", f)
	}
	want := "seed 5, round 2: lost: pvc-1: volume vol-1 has no PersistentVolume (failpoints [[after:CreateVolume:1]])"
	if diff := cmp.Diff([]string{want, want}, f.Findings); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	own, peer := &Figures{Program: ownName}, &Figures{Program: "peer"}
	own.Add(Result{Asked: 10, Deaths: Deaths{Failpoints: map[string]int{"before:DeleteVolume": 4}}})
	peer.Add(Result{Asked: 20, Breaches: []Breach{{Flaw: Lost}, {Flaw: Lost}, {Flaw: Lost}}})
	table := All{own, peer}.Table()
	for _, row := range []string{
		"|  | csi-provisioner | peer |\n|--|--:|--:|\n", "| claims | 10 | 20 |",
		"| sidecar killed at failpoints | 4 | 0 |", "| **lost** | 0 | 3 |", "| DeleteVolume | 4 | 0 |",
	} {
		if !strings.Contains(table, row) {
			t.Errorf("the table has no row %q:\n%s", row, table)
		}
	}
	if table := (All{peer}).Table(); strings.Contains(table, "killed before") {
		t.Errorf("the peers have no failpoints:\n%s", table)
	}
}

// TestJudgeOwnOnly: the peers' flaws are shown, but fail nothing.
func TestJudgeOwnOnly(t *testing.T) {
	t.Parallel()
	own, peer := &Figures{Program: ownName}, &Figures{Program: "peer"}
	peer.Add(Result{Breaches: []Breach{{Flaw: Lost}}})
	if err := (All{own, peer}).Judge(); err != nil {
		t.Error(err)
	}
	own.Add(Result{Breaches: []Breach{{Flaw: Lost}}})
	if err := (All{own, peer}).Judge(); err == nil {
		t.Error("a lost volume is no failure")
	}
}
