// Package fault holds the rules that change the outcome of calls: which rule
// applies to a call, and how it delays, fails or alters it.
package fault

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
)

// A Subject is what rules can match of a call.
type Subject struct {
	Method        string
	VolumeID      string
	VolumeName    string
	Parameters    map[string]string
	RequiredBytes int64
}

// Rules are the rules of one driver.
type Rules struct {
	mu    sync.Mutex
	rules []*entry
	next  int
}

type entry struct {
	control.RuleStatus
	removed chan struct{} // closed when the rule is removed
}

// NewRules starts without a rule.
func NewRules() *Rules { return &Rules{} }

// Add adds a rule behind the others.
func (r *Rules) Add(rule control.Rule) (control.RuleStatus, error) {
	if err := rule.Validate(); err != nil {
		return control.RuleStatus{}, fmt.Errorf("adding a rule: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if rule.ID == "" {
		r.next++
		rule.ID = fmt.Sprintf("rule-%d", r.next)
	}
	if r.index(rule.ID) >= 0 {
		return control.RuleStatus{}, fmt.Errorf("adding a rule: %q exists", rule.ID)
	}
	added := &entry{RuleStatus: control.RuleStatus{Rule: rule}, removed: make(chan struct{})}
	r.rules = append(r.rules, added)
	return added.RuleStatus, nil
}

// List returns the rules in their order.
func (r *Rules) List() []control.RuleStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]control.RuleStatus, 0, len(r.rules))
	for _, e := range r.rules {
		all = append(all, e.RuleStatus)
	}
	return all
}

// Remove removes a rule and lets the calls go on that it keeps.
func (r *Rules) Remove(id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := r.index(id)
	if i < 0 {
		return fmt.Errorf("removing a rule: there is no %q", id)
	}
	close(r.rules[i].removed)
	r.rules = slices.Delete(r.rules, i, i+1)
	return nil
}

// Clear removes all rules.
func (r *Rules) Clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.rules {
		close(e.removed)
	}
	r.rules = nil
}

// Apply finds the rule for a call and counts the call. It returns nil if there
// is none.
func (r *Rules) Apply(call Subject) *Fault {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.rules {
		usedUp := e.Count > 0 && e.Hits >= e.Count
		if usedUp || !matches(e.Match, call) {
			continue
		}
		if e.Skipped < e.Skip {
			e.Skipped++
			continue
		}
		e.Hits++
		return &Fault{rule: e.Rule, removed: e.removed}
	}
	return nil
}

func (r *Rules) index(id string) int {
	return slices.IndexFunc(r.rules, func(e *entry) bool { return e.ID == id })
}

func matches(m control.Match, call Subject) bool {
	if m.Method != "" && m.Method != call.Method {
		return false
	}
	if m.Volume != "" && !strings.Contains(call.VolumeName, m.Volume) && !strings.Contains(call.VolumeID, m.Volume) {
		return false
	}
	if m.MinRequiredBytes > call.RequiredBytes || m.Absent && call.VolumeID != "" {
		return false
	}
	for key, value := range m.Parameters {
		if got, ok := call.Parameters[key]; !ok || got != value {
			return false
		}
	}
	return true
}
