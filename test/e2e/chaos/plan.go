package chaos

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/faults"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/proxy"
)

// Never is the moment of what does not happen.
const Never time.Duration = -1

// A Plan is what happens in one round. Moments count from its beginning.
type Plan struct {
	Seed  uint64
	Round int
	// Calm lets the claims be bound before the trouble, and the moments, begin.
	Calm bool
	// Ambush is the moment of the first kill, or Never: most claims are deleted right
	// after that, before another sidecar is there.
	Ambush time.Duration
	// Replicas of the sidecar, with leader election when there are several.
	Replicas int
	// Lives are, for each replica, the failpoints at which its process dies, one
	// after the other; an empty one is a life without.
	Lives [][]string
	// Away is the time until a sidecar that has died is started again.
	Away   time.Duration
	Claims []Claim
	// NamespaceDeleted is the moment when the round's own namespace is.
	NamespaceDeleted time.Duration
	Troubles         []Trouble
	// Intrusions are in the order of their moments.
	Intrusions []Intrusion
	Driver     []control.Rule
	API        []proxy.Rule
	// Graceful tells the sidecars to stop in the end; otherwise they are killed.
	Graceful bool
}

// A Claim is what a user does with one.
type Claim struct {
	Name  string
	Class Class
	// Apart puts it into the round's own namespace.
	Apart    bool
	Made     time.Duration
	Expanded time.Duration
	Modified time.Duration
	Deleted  time.Duration
	// Attributes is the VolumeAttributesClass that it is modified to.
	Attributes string
	// Again makes another one of the same name when it has been deleted.
	Again bool
}

// Class is one of the StorageClasses.
type Class string

// The classes.
const (
	// Delete and Retain are plain classes of that reclaim policy.
	Delete Class = "delete"
	Retain Class = "retain"
	// Credentials and OwnCredentials name a Secret for the driver: the lane's, and
	// that of the claim's namespace.
	Credentials    Class = "credentials"
	OwnCredentials Class = "own-credentials"
)

// VolumeAttributesClasses.
const (
	silver = "silver"
	gold   = "gold"
)

// length is the time in which things begin to happen.
const length = 2500 * time.Millisecond

// NewPlan returns the plan of a round. Without failpoints the sidecar is killed at
// random moments instead.
func NewPlan(seed uint64, round int, failpoints bool) Plan {
	d := dice{faults.NewDice(seed, uint64(round))}
	p := Plan{
		Seed:             seed,
		Round:            round,
		Calm:             d.Chance(25),
		Ambush:           Never,
		Replicas:         1,
		NamespaceDeleted: Never,
		Graceful:         d.Chance(30),
		Away:             d.Between(100*time.Millisecond, length/2),
	}
	if !p.Calm && d.Chance(70) {
		p.Ambush = d.Between(100*time.Millisecond, 1500*time.Millisecond)
	}
	if p.Ambush == Never && d.Chance(50) {
		p.Replicas = 2
	}
	if d.Chance(50) {
		p.NamespaceDeleted = d.Moment(length)
	}
	for n := range 30 + d.IntN(11) {
		p.Claims = append(p.Claims, d.claim(fmt.Sprintf("c%d-%d", round, n), p))
	}
	p.Driver, p.API = d.driverRules(p.Ambush != Never), d.apiRules()
	p.Intrusions = d.intrusions()
	d.deaths(&p, failpoints)
	return p
}

// intrusions chooses what others do to the journal: when volumes are made, and late, when
// the last sidecar of the round is about to read it.
func (d dice) intrusions() []Intrusion {
	var all []Intrusion
	for _, kind := range Intrusions() {
		for range d.IntN(3) {
			all = append(all, Intrusion{At: d.Moment(length), Kind: kind})
		}
	}
	slices.SortFunc(all, func(a, b Intrusion) int { return cmp.Compare(a.At, b.At) })
	return all
}

// deaths chooses how the sidecars die: some rounds are about failpoints, where there
// are some, the others about random moments.
func (d dice) deaths(p *Plan, failpoints bool) {
	p.Lives = make([][]string, p.Replicas)
	if p.Ambush != Never && d.Chance(70) {
		p.Troubles = append(d.troubles(p.Replicas, d.IntN(3)), Trouble{At: p.Ambush, Fault: faults.Fault{Kind: faults.KillSidecar}})
		return
	}
	if d.Chance(40) {
		p.Troubles = d.troubles(p.Replicas, 1+d.IntN(4))
		return
	}
	lives := d.lives(p)
	p.Troubles = d.troubles(p.Replicas, d.IntN(2))
	p.Driver = append(laggards(lives), p.Driver...)
	if failpoints {
		p.Lives = lives
	} else {
		p.Troubles = append(p.Troubles, d.insteadOf(lives)...)
	}
}

// laggards has the driver keep some volumes until everything is well again, if a
// replica is to die when it drops single intents: it does that only for a volume that
// is deleted while others of its batch are in creation.
func laggards(lives [][]string) []control.Rule {
	for _, life := range slices.Concat(lives...) {
		if strings.Contains(life, ":"+dropIntents+":") {
			return []control.Rule{{Match: control.Match{Method: "CreateVolume"}, Hang: true, Skip: 2, Count: 6}}
		}
	}
	return nil
}

// dice choose what happens in a round.
type dice struct{ faults.Dice }

// claim chooses the story of a claim.
func (d dice) claim(name string, p Plan) Claim {
	c := Claim{
		Name:     name,
		Class:    faults.Pick(d.Dice, Delete, Delete, Delete, Retain, Credentials, OwnCredentials),
		Apart:    d.Chance(25),
		Expanded: Never, Modified: Never, Deleted: Never,
		Attributes: faults.Pick(d.Dice, silver, gold),
	}
	changed := 15
	if p.Calm {
		changed = 50 // it is bound
	} else {
		c.Made = d.Moment(length / 5)
	}
	if d.Chance(changed) {
		c.Expanded = d.Between(c.Made, length)
	}
	if d.Chance(changed) {
		c.Modified = d.Between(c.Made, length)
	}
	switch {
	case p.Ambush != Never && d.Chance(75):
		c.Deleted = max(c.Made, d.Between(p.Ambush, p.Ambush+p.Away))
	case d.Chance(50):
		c.Deleted = d.Between(c.Made, length)
	default:
		return c
	}
	c.Again = d.Chance(10)
	return c
}
