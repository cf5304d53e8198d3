package chaos

import (
	"fmt"
	"time"
)

// A Trouble is something that goes wrong for a while.
type Trouble struct {
	Kind Kind
	At   time.Duration
	// For is how long it lasts, where it lasts.
	For time.Duration
	// Replica is the one that it is about, where it is about one.
	Replica int
}

// Kind is what goes wrong.
type Kind string

// The kinds of trouble.
const (
	KillSidecar      Kind = "sidecar killed"
	PauseSidecar     Kind = "sidecar paused"
	StealLease       Kind = "lease stolen"
	KillDriver       Kind = "driver killed"
	RemoveClass      Kind = "class removed"
	RemoveSecret     Kind = "secret removed"
	PauseAPIServer   Kind = "API server paused"
	PauseEtcd        Kind = "etcd paused"
	RestartAPIServer Kind = "API server restarted"
	RestartEtcd      Kind = "etcd restarted"
)

// Kinds returns all kinds of trouble.
func Kinds() []Kind {
	return []Kind{
		KillSidecar, PauseSidecar, StealLease, KillDriver, RemoveClass, RemoveSecret,
		PauseAPIServer, PauseEtcd, RestartAPIServer, RestartEtcd,
	}
}

// dropIntents is the failpoint at the end of single intents.
const dropIntents = "DropIntents"

// Failpoints are the names of the calls before and after which a program built
// with the tag failpoints can die.
func Failpoints() []string {
	return []string{
		"CreateVolume", "DeleteVolume", "ControllerExpandVolume", "ControllerModifyVolume",
		"CreateSegment", dropIntents, "DeleteSegment",
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
				life := fmt.Sprintf("%s:%s:%d", pick(d, "before", "after"), pick(d, points...), 1+d.IntN(count))
				lives[replica] = append(lives[replica], life)
			}
		}
		if p.Replicas > 1 {
			add(1, 5, "UpdateLease")
		}
		if !p.Calm {
			// Few, as they are shared by many volumes.
			add(1, 2, "CreateSegment")
			add(2, 8, "CreateVolume", "CreatePersistentVolume")
			add(1, 2, dropIntents, "DeleteSegment")
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
	return Trouble{Kind: KillSidecar, At: d.moment(length * 3 / 5), Replica: replica}
}

// troubles chooses what goes wrong, apart from what the rules do.
func (d dice) troubles(replicas, kills int) []Trouble {
	var all []Trouble
	for range kills {
		all = append(all, d.kill(d.IntN(replicas)))
	}
	for _, one := range []struct {
		kind        Kind
		percent     int
		least, most time.Duration
		standby     bool // only with one
	}{
		{PauseSidecar, 50, 100 * time.Millisecond, 6 * time.Second, true},
		{StealLease, 40, 0, 0, true},
		{KillDriver, 20, 50 * time.Millisecond, time.Second, false},
		{RemoveClass, 20, 100 * time.Millisecond, 2 * time.Second, false},
		{RemoveSecret, 20, 100 * time.Millisecond, 2 * time.Second, false},
		{PauseAPIServer, 5, 500 * time.Millisecond, 3 * time.Second, false},
		{PauseEtcd, 5, 500 * time.Millisecond, 3 * time.Second, false},
		{RestartAPIServer, 2, 0, 0, false},
		{RestartEtcd, 2, 0, 0, false},
	} {
		if !d.chance(one.percent) || one.standby && replicas < 2 {
			continue
		}
		trouble := Trouble{Kind: one.kind, At: d.moment(length), Replica: d.IntN(replicas)}
		if one.most > 0 {
			trouble.For = d.between(one.least, one.most)
		}
		all = append(all, trouble)
	}
	return all
}
