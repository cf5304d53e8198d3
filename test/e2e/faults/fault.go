package faults

import (
	"maps"
	"sync"
	"time"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/proxy"
)

// A Fault is something that goes wrong, once or for a while.
type Fault struct {
	Kind Kind
	// For is how long it lasts, where it lasts.
	For time.Duration
	// Replica is the sidecar that it is about, where it is about one of several.
	Replica int
	// Driver is the rule of DriverErrors and DriverHangs, API that of APIErrors and
	// APIHangs.
	Driver control.Rule
	API    proxy.Rule
}

// Kind is what goes wrong.
type Kind string

// The kinds of faults.
const (
	KillSidecar      Kind = "sidecar killed"
	PauseSidecar     Kind = "sidecar paused"
	StealLease       Kind = "lease stolen"
	KillDriver       Kind = "driver killed"
	DriverErrors     Kind = "driver returned errors"
	DriverHangs      Kind = "driver did not answer"
	RemoveClass      Kind = "class removed"
	RemoveSecret     Kind = "secret removed"
	APIErrors        Kind = "API server returned errors"
	APIHangs         Kind = "API server did not answer"
	PauseAPIServer   Kind = "API server paused"
	PauseEtcd        Kind = "etcd paused"
	RestartAPIServer Kind = "API server restarted"
	RestartEtcd      Kind = "etcd restarted"
)

// Counts are how often faults have been injected, by kind.
type Counts struct {
	mu   sync.Mutex
	kind map[Kind]int
}

func (c *Counts) add(kind Kind) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kind == nil {
		c.kind = map[Kind]int{}
	}
	c.kind[kind]++
}

// ByKind returns the counts so far.
func (c *Counts) ByKind() map[Kind]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.kind)
}

// Total is the number of all faults so far.
func (c *Counts) Total() int {
	total := 0
	for _, count := range c.ByKind() {
		total += count
	}
	return total
}
