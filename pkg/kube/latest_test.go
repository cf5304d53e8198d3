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
			var latest Latest[*corev1.PersistentVolumeClaim]
			written, shown := versioned("1", c.written), versioned("1", c.shown)
			latest.Remember(written)
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
	var latest Latest[*corev1.PersistentVolumeClaim]
	shown := versioned("1", "7")
	if got := latest.Newest(shown); got != shown {
		t.Errorf("Newest has version %q, though nothing was written", got.ResourceVersion)
	}
	latest.Forget("1")
	latest.Remember(versioned("2", "8"))
	if got := latest.Newest(shown); got != shown {
		t.Error("Newest is what was written to another object of the same name")
	}
	latest.Forget("2")
	if len(latest.written) != 0 {
		t.Errorf("%d objects are kept after Forget", len(latest.written))
	}
}

func TestLatestRemembersTheLast(t *testing.T) {
	var latest Latest[*corev1.PersistentVolumeClaim]
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
