package options

import (
	"fmt"
	"math"
	"time"

	"github.com/spf13/pflag"
)

// Protection is how the finalizers are looked after by which snapshots and claims
// are kept while volumes are made from them.
type Protection struct {
	// Threads is the number of finalizers that are removed at one time.
	Threads int
	// Sweep is the period in which all snapshots with the finalizer are looked at;
	// not positive for never.
	Sweep time.Duration
}

func addProtection(fs *pflag.FlagSet, c *Config, r *raw) {
	fs.UintVar(&r.protectors, "cloning-protection-threads", 1, "Number of finalizers of cloned claims, and of restored snapshots, that are removed at one time.")
	fs.DurationVar(&c.Protection.Sweep, "snapshot-orphan-sweep-interval", 5*time.Minute, "Time after which it is looked again for snapshots that are kept for restores which are over; 0 for never.")
}

func settleProtection(c *Config, r raw) {
	c.Protection.Threads = int(min(r.protectors, math.MaxInt32))
}

func validateProtection(p Protection) []error {
	if p.Threads < 1 {
		return []error{fmt.Errorf("--cloning-protection-threads=%d: must be at least 1", p.Threads)}
	}
	return nil
}
