package capacity_test

import (
	"fmt"
	"testing"
	"time"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	storagev1 "k8s.io/api/storage/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller/capacity"
)

const (
	segments = 1000
	classes  = 3
)

// large has a thousand segments of two nodes and three volumes each, three classes,
// and others that don't count; nodes and classes are told of twice, as after a watch
// that was lost.
func (w *world) large() {
	for range 2 {
		for c := range classes {
			w.class(fmt.Sprint("class-", c))
		}
		for n := range 2 * segments {
			w.node(fmt.Sprint("node-", n), fmt.Sprint("zone-", n%segments))
		}
	}
	for n := range 3 * segments {
		w.VolumeChanged(nil, volume(fmt.Sprint("zone-", n%segments)))
	}
	w.class("immediate", bindsAtOnce)
	w.class("foreign", func(c *storagev1.StorageClass) { c.Provisioner = "other.csi.example" })
}

// TestStartIsLinear: one call and one write for each pair, and at rest only the
// polls, which write nothing.
func TestStartIsLinear(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.large()
		w.run()
		if len(w.calls) != segments*classes {
			t.Errorf("the driver was asked for %d pairs", len(w.calls))
		}
		w.expect("at the start", segments*classes, segments*classes)
		if got, want := w.Counts(), (capacity.Counts{Goal: segments * classes, Current: segments * classes}); got != want {
			t.Errorf("counted are %+v, want %+v", got, want)
		}
		w.pass(pollInterval - time.Second)
		w.expect("at rest", 0, 0)
		w.pass(3 * pollInterval)
		w.expect("after three polls", 3*segments*classes, 0)

		// More nodes in the same segments, and signs of life, change nothing.
		for n := range 3 * segments {
			w.node(fmt.Sprint("node-", n), fmt.Sprint("zone-", n%segments))
		}
		w.pass(time.Second / 2)
		w.expect("with more nodes", 0, 0)
	})
}

// TestRestartWritesNothing: what another process has published, external-provisioner
// too, is taken over as it is.
func TestRestartWritesNothing(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		for c := range classes {
			for s := range segments {
				w.put(object(fmt.Sprintf("csisc-%d-%d", c, s), fmt.Sprint("class-", c), fmt.Sprint("zone-", s)))
			}
		}
		w.large()
		w.run()
		w.expect("at the start", segments*classes, 0)
		w.has(9)
		w.pass(pollInterval)
		w.expect("after a change", segments*classes, segments*classes)
	})
}

// TestSlowDriver: polls that come faster than the driver answers don't pile up, and
// no pair is asked for twice at once.
func TestSlowDriver(t *testing.T) {
	const takes = 5 * time.Second // for each of four workers
	bubble(t, func(t *testing.T, w *world) {
		w.reports(func(*csipb.GetCapacityRequest) (*csipb.GetCapacityResponse, error) {
			time.Sleep(takes)
			return &csipb.GetCapacityResponse{AvailableCapacity: 10 << 30}, nil
		})
		for n := range 100 {
			w.node(fmt.Sprint("node-", n), fmt.Sprint("zone-", n))
		}
		w.class("fast")
		w.run()
		w.pass(100 * pollInterval)
		w.mu.Lock()
		for pair, n := range w.calls {
			// Each round takes 125 seconds.
			if n > 50 {
				t.Errorf("the driver was asked %d times for %s", n, pair)
			}
		}
		clear(w.calls)
		w.writes = nil
		w.mu.Unlock()
		w.has(10)
		w.pass(takes)
		w.mu.Lock()
		defer w.mu.Unlock()
		sum := 0
		for _, n := range w.calls {
			sum += n
		}
		if sum > 200 {
			t.Errorf("the queue held %d pairs, of 100", sum)
		}
	})
}
