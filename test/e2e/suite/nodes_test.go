package suite

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/proxy"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/stage"
)

// TestNodeDeploymentOfMany: 20 nodes with the default delays make 200 immediate
// claims' volumes, each once, in many places, and hardly get in each other's way.
// Each deletes its own.
func TestNodeDeploymentOfMany(t *testing.T) {
	const nodes, claims = 20, 200
	f := newFleet(t, nodes, func(int) []string { return nil })
	p := f.proxied()
	f.start(stage.Through(p))
	class := f.class("sc", nil)
	started := time.Now()
	var made []*corev1.PersistentVolumeClaim
	for n := range claims {
		made = append(made, f.claim(fmt.Sprintf("c%03d", n), class))
	}
	f.until("all claims are bound", func() (bool, error) {
		list, err := shared.Client.CoreV1().PersistentVolumeClaims(f.id).List(f.ctx, metav1.ListOptions{})
		for _, claim := range list.Items {
			if claim.Status.Phase != corev1.ClaimBound {
				return false, err
			}
		}
		return err == nil, err
	})
	t.Logf("%d claims were bound after %s", claims, time.Since(started))

	f.madeOnce(made)
	selecting := proxy.Match{Method: http.MethodPatch, Path: `/persistentvolumeclaims/[^/]+$`}
	selected, lost := len(p.Writes(selecting)), conflicts(p, `/persistentvolumeclaims/[^/]+$`)
	t.Logf("%d of %d tries to take a claim were too late", lost, selected)
	if lost >= claims || selected-lost != claims {
		t.Errorf("there were %d tries to take %d claims, of which %d were too late", selected, claims, lost)
	}
	// Nobody watches the nodes, and nobody but a claim's owner reads it.
	if got := p.Reads(proxy.Match{Path: "/nodes|csinodes|leases"}); len(got) > 0 {
		t.Errorf("read were %q", got)
	}
	if got := p.Reads(proxy.Match{Path: `/persistentvolumeclaims/[^/]+$`}); len(got) > claims {
		t.Errorf("claims were read %d times", len(got))
	}

	f.must(shared.Client.CoreV1().PersistentVolumeClaims(f.id).DeleteCollection(f.ctx, metav1.DeleteOptions{}, metav1.ListOptions{}))
	f.until("all volumes are gone", func() (bool, error) { return len(f.volumesOfDriver()) == 0, nil })
	for _, m := range f.nodes {
		if left := f.volumesAt(m); len(left) > 0 {
			t.Errorf("at %s there are still %v", m.name, left)
		}
		creates, deletes := f.callsAt(m, "CreateVolume", nil), f.callsAt(m, "DeleteVolume", nil)
		if len(creates) != len(deletes) {
			t.Errorf("at %s CreateVolume was called %d times, and DeleteVolume %d times", m.name, len(creates), len(deletes))
		}
	}
	patches, deletions := proxy.Match{Method: http.MethodPatch, Path: "/persistentvolumes/"}, proxy.Match{Method: http.MethodDelete, Path: "/persistentvolumes/"}
	if n, m := len(p.Writes(patches)), len(p.Writes(deletions)); n > claims || m > claims {
		t.Errorf("PersistentVolumes were patched %d times and deleted %d times", n, m)
	}
	f.journalEmpty()
}

// madeOnce fails the test unless each claim has one volume, for which one driver was
// asked once, and the volumes are spread.
func (f *fleet) madeOnce(claims []*corev1.PersistentVolumeClaim) {
	f.Helper()
	calls, at := map[string]int{}, map[string]int{}
	for _, m := range f.nodes {
		for _, call := range f.callsAt(m, "CreateVolume", nil) {
			calls[call.VolumeName]++
			at[m.name]++
		}
	}
	for _, claim := range claims {
		if n := calls["pvc-"+string(claim.UID)]; n != 1 {
			f.Errorf("CreateVolume was called %d times for claim %s", n, claim.Name)
		}
	}
	if len(calls) != len(claims) || len(f.volumesOfDriver()) != len(claims) {
		f.Errorf("there were calls for %d volumes, and there are %d PersistentVolumes", len(calls), len(f.volumesOfDriver()))
	}
	most := 0
	for _, n := range at {
		most = max(most, n)
	}
	f.Logf("the volumes are at %d nodes, at most %d at one", len(at), most)
	if len(at) < len(f.nodes)*3/4 || most > 4*len(claims)/len(f.nodes) {
		f.Errorf("the volumes are not spread: %v", at)
	}
}

// TestNodeDeployment: who makes which volume, and that the others leave it alone.
func TestNodeDeployment(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 3, func(n int) []string {
		return [][]string{{"--capacity=1Gi"}, {"--capacity=1Gi"}, {"--capacity=100Gi"}}[n]
	})
	f.start(quick()...)
	a, b, large := f.nodes[0], f.nodes[1], f.nodes[2]
	late, immediate := f.class("late", nil, lateBinding), f.class("immediate", map[string]string{"tier": "gold", reservedPrefix + "fstype": "xfs"})
	in := func(t *testing.T) *fleet { return &fleet{scene: f.in(t), nodes: f.nodes} }

	t.Run("late", func(t *testing.T) {
		f := in(t)
		nobodys := f.claim("nobodys", late)
		others := f.claim("others", late, ofNode("elsewhere"))
		for _, m := range []*member{b, large} {
			claim := f.claim("late-"+m.name, late, ofNode(m.name))
			if at := f.boundAt(claim); at != m {
				t.Errorf("the volume of a claim of %s is at %s", m.name, at.name)
			}
			f.gone(claim)
		}
		f.untouchedBy(nobodys, f.nodes...)
		f.untouchedBy(others, f.nodes...)
		for _, claim := range []string{nobodys.Name, others.Name} {
			if warnings := f.failures(claim); len(warnings) > 0 {
				t.Errorf("there are warnings about claim %s: %v", claim, warnings)
			}
		}
	})
	t.Run("no room", func(t *testing.T) {
		f := in(t)
		for n := range 3 {
			claim := f.claim(fmt.Sprint("no-room-", n), immediate, ofSize("2Gi"))
			if at := f.boundAt(claim); at != large {
				t.Errorf("a volume of 2Gi is at %s", at.name)
			}
		}
		calls := f.callsAt(large, "GetCapacity", nil)
		var request csipb.GetCapacityRequest
		f.must(calls[0].DecodeRequest(&request))
		if request.GetAccessibleTopology().GetSegments()[f.driver.TopologyKey] != large.name || len(request.GetParameters()) != 1 || request.GetParameters()["tier"] != "gold" {
			t.Errorf("the driver was asked for the room for %v", &request)
		}
	})
	t.Run("exhausted", func(t *testing.T) { in(t).exhausted(a, immediate) })
	t.Run("late and exhausted", func(t *testing.T) { in(t).exhausted(b, late) })
	t.Run("some topologies", func(t *testing.T) {
		f := in(t)
		only := func(places string) string {
			return fmt.Sprintf("allowedTopologies:\n- matchLabelExpressions:\n  - {key: %s, values: [%s]}", f.driver.TopologyKey, places)
		}
		nowhere := f.claim("nowhere", f.class("nowhere", nil, only("aaa, zzz")))
		claim := f.claim("allowed", f.class("allowed", nil, only(b.name+", zzz")))
		if at := f.boundAt(claim); at != b {
			t.Errorf("the volume is at %s", at.name)
		}
		f.gone(claim)
		f.untouchedBy(nowhere, f.nodes...)
		if warnings := f.failures(nowhere.Name); len(warnings) > 0 {
			t.Errorf("there are warnings: %v", warnings)
		}
	})
	t.Run("not to be made", func(t *testing.T) {
		f := in(t)
		f.claim("bad", f.class("bad", map[string]string{reservedPrefix + "no": "x"}))
		// One node says so, not all of them.
		f.warning("bad", "unknown parameter")
		sources := map[string]bool{}
		for _, warning := range f.failures("bad") {
			sources[warning.Source.Component] = true
		}
		if len(sources) != 1 {
			t.Errorf("the warnings come from %v", sources)
		}
	})
}

// exhausted has a node give a claim back for which its driver has no room after all.
func (f *fleet) exhausted(m *member, class string) {
	f.Helper()
	id, err := m.driver.Control.AddRule(f.ctx, control.Rule{Match: control.Match{Method: "CreateVolume"}, Code: codes.ResourceExhausted, Message: "no room"})
	f.must(err)
	defer func() { f.must(m.driver.Control.RemoveRule(f.ctx, id)) }()
	claim := f.claim("exhausted-"+strings.ReplaceAll(class, ".", "-"), class, ofNode(m.name), ofSize("3Gi"))
	f.warning(claim.Name, "no room", "another node is asked for")
	if strings.HasSuffix(class, "late") {
		f.until("the claim is given back to the scheduler", func() (bool, error) { return f.get(claim.Name).Annotations[selectedNode] == "", nil })
		f.changeClaim(claim.Name, ofNode(f.nodes[2].name))
	}
	volume := f.bound(claim.Name)
	if place := f.placeOf(volume); place != f.nodes[2].name {
		f.Errorf("the volume is at %s", place)
	}
	f.gone(claim)
}

// TestNodeDeploymentCrash: what a node's sidecar has begun, its next process
// finishes, and no other node meanwhile.
func TestNodeDeploymentCrash(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		// reach has the first node's sidecar get to where it is killed.
		reach  func(f *fleet, p *proxy.Proxy, class string) (claim *corev1.PersistentVolumeClaim, release func())
		delete bool
	}{
		"own":          {(*fleet).reachOwnership, false},
		"own-gone":     {(*fleet).reachOwnership, true},
		"created":      {(*fleet).reachVolume, false},
		"created-gone": {(*fleet).reachVolume, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, 2, func(int) []string { return nil })
			first, other := f.nodes[0], f.nodes[1]
			p := f.proxied()
			f.startAt(first, quick(stage.Through(p))...)
			claim, release := test.reach(f, p, f.class("sc", nil))
			f.must(first.sidecar.Kill())
			release()
			f.startAt(other, quick()...)
			if test.delete {
				f.deleteClaim(claim.Name)
				f.claimGone(claim.Name)
			}
			// There was time for the other node to do more.
			f.boundAt(f.claim("another", f.class("another", nil)))
			f.untouchedBy(claim, other)
			f.startAt(first, quick()...)
			if test.delete {
				f.until("nothing is left of the claim's volume", func() (bool, error) { return len(f.volumesAt(first)) == 0, nil })
			} else {
				if place := f.placeOf(f.bound(claim.Name)); place != first.name {
					t.Errorf("the volume is at %s", place)
				}
				if n := len(f.volumesAt(first)); n != 1 {
					t.Errorf("the driver has %d volumes", n)
				}
				f.gone(claim)
			}
			f.untouchedBy(claim, other)
			f.journalEmpty()
		})
	}
}

// reachOwnership stops the sidecar when the claim is its node's, before the volume is
// recorded and made.
func (f *fleet) reachOwnership(p *proxy.Proxy, class string) (claim *corev1.PersistentVolumeClaim, release func()) {
	f.Helper()
	held := p.Add(proxy.Rule{Match: journalWrites(http.MethodPost), Hold: true})
	claim = f.claim("c", class)
	f.must(held.Wait(f.ctx, 1))
	if got := f.get("c").Annotations[selectedNode]; got != f.nodes[0].name {
		f.Errorf("the claim's node is %q", got)
	}
	return claim, held.Remove
}

// reachVolume stops it when the volume is made, and the driver has not answered.
func (f *fleet) reachVolume(_ *proxy.Proxy, class string) (claim *corev1.PersistentVolumeClaim, release func()) {
	f.Helper()
	release = f.rule(control.Rule{ID: "made", Match: control.Match{Method: "CreateVolume"}, When: control.After, Hang: true, Count: 1})
	claim = f.claim("c", class)
	f.reached("made")
	f.until("the volume is made", func() (bool, error) { return len(f.volumesAt(f.nodes[0])) == 1, nil })
	return claim, release
}

// TestNodeDeploymentCapacity: each node publishes its own capacity, by which the
// scheduler finds the node that has enough.
func TestNodeDeploymentCapacity(t *testing.T) {
	f := newFleet(t, 2, func(n int) []string { return [][]string{{"--capacity=1Gi"}, {"--capacity=10Gi"}}[n] })
	f.removeCapacities()
	small, large := f.nodes[0], f.nodes[1]
	for _, m := range f.nodes {
		f.takesPods(m)
	}
	f.apply(fmt.Sprintf("apiVersion: storage.k8s.io/v1\nkind: CSIDriver\nmetadata: {name: %s}\nspec: {attachRequired: false, storageCapacity: true}", f.driver.Name))
	f.Cleanup(func() {
		_ = shared.Client.StorageV1().CSIDrivers().Delete(context.WithoutCancel(f.ctx), f.driver.Name, metav1.DeleteOptions{})
	})
	class := f.class("late", nil, lateBinding)
	f.start(quick(publishing()...)...)
	f.publishes(map[string]string{"late@" + small.name: "1Gi", "late@" + large.name: "10Gi"})
	for _, object := range f.capacities() {
		place := object.NodeTopology.MatchLabels[f.driver.TopologyKey]
		if got := object.Labels[capacityManagedBy]; got != capacityManager+"-"+place {
			t.Errorf("the capacity at %s is managed by %q", place, got)
		}
	}

	claim := f.claim("c", class, ofSize("2Gi"))
	f.runs(podWith("pod", claim))
	if at := f.boundAt(claim); at != large {
		t.Errorf("the volume is at %s", at.name)
	}
	f.publishes(map[string]string{"late@" + small.name: "1Gi", "late@" + large.name: "8Gi"})
	f.deletePod("pod")
	f.gone(claim)
	f.publishes(map[string]string{"late@" + small.name: "1Gi", "late@" + large.name: "10Gi"})
}
