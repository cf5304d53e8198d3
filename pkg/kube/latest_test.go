package kube

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// versioned is a claim at a resource version.
func versioned(uid types.UID, version string) *corev1.PersistentVolumeClaim {
	return claim(metav1.ObjectMeta{Namespace: "ns", Name: "claim", UID: uid, ResourceVersion: version})
}

// remembering is a memory of claims, and what the informer shows in the place of each.
func remembering(shown *corev1.PersistentVolumeClaim) *Latest[*corev1.PersistentVolumeClaim] {
	return NewLatest(func(*corev1.PersistentVolumeClaim) (*corev1.PersistentVolumeClaim, bool) { return shown, shown != nil })
}

func TestLatest(t *testing.T) {
	cases := map[string]struct {
		written, shown string
		ours           bool // whether what was written is the newer one
	}{
		"the informer is late":     {"8", "7", true},
		"the informer shows it":    {"8", "8", false},
		"the informer is ahead":    {"8", "9", false},
		"numbers, not words":       {"10", "9", true},
		"longer than 64 bits":      {"100000000000000000000", "99999999999999999999", true},
		"what was written is odd":  {"x", "7", false},
		"what is shown is odd":     {"8", "x", false},
		"what was written is none": {"", "7", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			latest := remembering(versioned("1", "1"))
			written, shown := versioned("1", c.written), versioned("1", c.shown)
			latest.written["1"] = written
			want := shown
			if c.ours {
				want = written
			}
			if got := latest.Newest(shown); got != want {
				t.Errorf("Newest has version %q, want %q", got.ResourceVersion, want.ResourceVersion)
			}
			// An informer may show the same again, but nothing older than before.
			if got := latest.Newest(shown); got != want {
				t.Errorf("Newest has version %q then, want %q", got.ResourceVersion, want.ResourceVersion)
			}
			if kept := len(latest.written) != 0; kept != c.ours {
				t.Errorf("what was written is kept: %t, want %t", kept, c.ours)
			}
		})
	}
}

func TestLatestOfNothing(t *testing.T) {
	shown := versioned("1", "7")
	latest := remembering(shown)
	if got := latest.Newest(shown); got != shown {
		t.Errorf("Newest has version %q, though nothing was written", got.ResourceVersion)
	}
	latest.Seen(shown)
	latest.written["2"] = versioned("2", "8")
	if got := latest.Newest(shown); got != shown {
		t.Error("Newest is what was written to another object of the same name")
	}
}

// What the informer shows, or no longer shows, is not remembered: neither when the write
// returns, nor when the informer is later.
func TestLatestForgets(t *testing.T) {
	for name, c := range map[string]struct {
		shown *corev1.PersistentVolumeClaim
		kept  bool
	}{
		"the informer is late":     {versioned("1", "7"), true},
		"the informer shows it":    {versioned("1", "8"), false},
		"the informer is ahead":    {versioned("1", "9"), false},
		"the object has gone":      {nil, false},
		"another has its place":    {versioned("2", "7"), false},
		"another, which was newer": {versioned("2", "9"), false},
	} {
		t.Run(name, func(t *testing.T) {
			written := versioned("1", "8")
			latest := remembering(c.shown)
			latest.Remember(written)
			if kept := len(latest.written) == 1; kept != c.kept {
				t.Errorf("when the write returns, it is kept: %t, want %t", kept, c.kept)
			}
			latest.written["1"] = written
			latest.Seen(versioned("1", "3")) // A handler is told late.
			if kept := len(latest.written) == 1; kept != c.kept {
				t.Errorf("when the informer shows it, it is kept: %t, want %t", kept, c.kept)
			}
		})
	}
}

func TestLatestRemembersTheLast(t *testing.T) {
	latest := remembering(versioned("1", "7"))
	latest.Remember(versioned("1", "8"))
	last := versioned("1", "9")
	last.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubectl"}}
	latest.Remember(last)
	got := latest.Newest(versioned("1", "8"))
	if got != last {
		t.Errorf("Newest has version %q, want 9", got.ResourceVersion)
	}
	// The informers drop it as well: what differs would be written.
	if got.ManagedFields != nil {
		t.Error("the managed fields are kept")
	}
}
