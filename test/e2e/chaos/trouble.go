package chaos

import (
	"fmt"
	"time"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/faults"
)

// A Trouble is a fault with its moment.
type Trouble struct {
	At time.Duration
	faults.Fault
}

// Kinds returns all kinds of faults that are troubles.
func Kinds() []faults.Kind {
	return []faults.Kind{
		faults.KillSidecar, faults.PauseSidecar, faults.StealLease, faults.KillDriver, faults.RemoveClass, faults.RemoveSecret,
		faults.PauseAPIServer, faults.PauseEtcd, faults.RestartAPIServer, faults.RestartEtcd,
	}
}

// dropIntents is the failpoint at the end of single intents.
const dropIntents = "DropIntents"

// Failpoints are the names of the calls before and after which a program built
// with the tag failpoints can die.
func Failpoints() []string {
	return []string{
		"CreateVolume", "DeleteVolume", "ControllerExpandVolume", "ControllerModifyVolume",
		"CreateBatch", dropIntents, "DeleteBatch",
		"CreatePersistentVolume", "SetFinalizers", "PatchPersistentVolume", "DeletePersistentVolume",
		"PatchClaimStatus", "UpdateLease",
	}
}

// lives chooses the failpoints at which the replicas die, in the order in which
// they are reached: volumes are made, changed, and deleted.
func (d dice) lives(p *Plan) [][]string {
	lives := make([][]string, p.Replicas)
	for replica := range lives {
		add := func(most, count int, points ...string) {
			for range d.IntN(most + 1) {
				life := fmt.Sprintf("%s:%s:%d", faults.Pick(d.Dice, "before", "after"), faults.Pick(d.Dice, points...), 1+d.IntN(count))
				lives[replica] = append(lives[replica], life)
			}
		}
		if p.Replicas > 1 {
			add(1, 5, "UpdateLease")
		}
		if !p.Calm {
			// Few, as they are shared by many volumes.
			add(1, 2, "CreateBatch")
			add(2, 8, "CreateVolume", "CreatePersistentVolume")
			add(1, 2, dropIntents, "DeleteBatch")
		} else {
			add(3, 8, "ControllerExpandVolume", "ControllerModifyVolume", "PatchPersistentVolume", "PatchClaimStatus")
		}
		add(2, 8, "DeleteVolume", "SetFinalizers", "DeletePersistentVolume")
	}
	return lives
}

// insteadOf kills at random moments for each failpoint.
func (d dice) insteadOf(lives [][]string) []Trouble {
	var kills []Trouble
	for replica := range lives {
		for range lives[replica] {
			kills = append(kills, d.kill(replica))
		}
	}
	return kills
}

// kill kills a replica, rather early, as that is when volumes are made.
func (d dice) kill(replica int) Trouble {
	return Trouble{At: d.Moment(length * 3 / 5), Fault: faults.Fault{Kind: faults.KillSidecar, Replica: replica}}
}

// troubles chooses what goes wrong, apart from what the rules do.
func (d dice) troubles(replicas, kills int) []Trouble {
	var all []Trouble
	for range kills {
		all = append(all, d.kill(d.IntN(replicas)))
	}
	for _, one := range []struct {
		kind        faults.Kind
		percent     int
		least, most time.Duration
		standby     bool // only with one
	}{
		{faults.PauseSidecar, 50, 100 * time.Millisecond, 6 * time.Second, true},
		{faults.StealLease, 40, 0, 0, true},
		{faults.KillDriver, 20, 50 * time.Millisecond, time.Second, false},
		{faults.RemoveClass, 20, 100 * time.Millisecond, 2 * time.Second, false},
		{faults.RemoveSecret, 20, 100 * time.Millisecond, 2 * time.Second, false},
		{faults.PauseAPIServer, 5, 500 * time.Millisecond, 3 * time.Second, false},
		{faults.PauseEtcd, 5, 500 * time.Millisecond, 3 * time.Second, false},
		{faults.RestartAPIServer, 2, 0, 0, false},
		{faults.RestartEtcd, 2, 0, 0, false},
	} {
		if !d.Chance(one.percent) || one.standby && replicas < 2 {
			continue
		}
		trouble := Trouble{At: d.Moment(length), Fault: faults.Fault{Kind: one.kind, Replica: d.IntN(replicas)}}
		if one.most > 0 {
			trouble.For = d.Between(one.least, one.most)
		}
		all = append(all, trouble)
	}
	return all
}
