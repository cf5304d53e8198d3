package suite

import (
	"regexp"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/proxy"
)

// TestExpandKilled: a sidecar that is killed in any state of the machine, and
// another one that goes on, end in the right size with nothing left over.
func TestExpandKilled(t *testing.T) {
	t.Parallel()
	inProgress := regexp.QuoteMeta(string(stateInProgress))
	for name, c := range map[string]struct {
		driver string
		// Of the claim, or, when volume, of its volume.
		says   string
		volume bool
		when   proxy.When
	}{
		"before-begun":     {inController, inProgress, false, proxy.Before},
		"begun":            {inController, inProgress, false, proxy.After},
		"called":           {inController, "", true, proxy.Before},
		"volume-written":   {inController, `"capacity"`, false, proxy.Before},
		"finished":         {inController, `"capacity"`, false, proxy.After},
		"node-called":      {"", "", true, proxy.Before},
		"node-volume":      {"", string(stateOnNode), false, proxy.Before},
		"node-handed-over": {"", string(stateOnNode), false, proxy.After},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, driverFlags(c.driver)...)
			p := s.proxy()
			sidecar := s.through(p)
			claim := s.claim("c", s.expandableClass("sc", nil))
			s.bound("c")
			match := s.patches("c", c.says)
			if c.volume {
				match = volumePatches(claim)
			}
			held := p.Add(proxy.Rule{Match: match, When: c.when, Hold: true})
			s.ask("c", "2Gi")
			s.must(held.Wait(s.ctx, 1))
			s.must(sidecar.Kill())
			held.Remove()
			s.namedSidecar("next-" + s.id)
			s.ends(claim, c.driver, "2Gi")
		})
	}
}

// TestExpandKilledDuringCall: the same while the driver works.
func TestExpandKilledDuringCall(t *testing.T) {
	t.Parallel()
	s := newScene(t, inController)
	sidecar := s.sidecar()
	claim := s.claim("c", s.expandableClass("sc", nil))
	s.bound("c")
	release := s.rule(control.Rule{ID: "slow", Match: expanding(claim), Hang: true})
	s.ask("c", "2Gi")
	s.reached("slow")
	s.must(sidecar.Kill())
	s.namedSidecar("next-" + s.id)
	release()
	s.ends(claim, inController, "2Gi")
}

func driverFlags(flag string) []string {
	if flag == "" {
		return nil
	}
	return []string{flag}
}

// ends waits until the claim is expanded as far as its driver can without a pod,
// and then to the end.
func (s *scene) ends(claim *corev1.PersistentVolumeClaim, driver, size string) {
	s.Helper()
	if driver != inController {
		s.handedOver(claim.Name, size)
		s.nodeExpands(claim.Name)
	}
	s.expanded(claim.Name, size)
	s.asked(claim, size)
}

// TestExpandWriteFails: an expansion ends well when any of its writes fails, in
// any way.
func TestExpandWriteFails(t *testing.T) {
	t.Parallel()
	faults := map[string]proxy.Rule{
		"conflict": {Status: proxy.Conflict()},
		"lost":     {Status: proxy.Timeout(), When: proxy.After},
		"error":    {Status: proxy.InternalError()},
		"busy":     {Status: proxy.TooManyRequests(1)},
	}
	for name, driver := range map[string]string{"controller": inController, "node": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, driverFlags(driver)...)
			p := s.proxy()
			s.through(p, soon)
			class := s.expandableClass("sc", nil, "reclaimPolicy: Retain")
			for write, of := range expandWrites(driver) {
				for fault, rule := range faults {
					name := write + "-" + fault
					t.Run(name, func(t *testing.T) {
						t.Parallel()
						of.fails(s.in(t), p, driver, s.in(t).claim(name, class), rule)
					})
				}
			}
		})
	}
}

// expandWrite is one of the writes of an expansion.
type expandWrite struct {
	// says is in the body; of a patch of the claim, or, when volume, of its
	// volume.
	says   string
	volume bool
	// code is with which the driver fails once; OK for not at all.
	code codes.Code
}

func expandWrites(driver string) map[string]expandWrite {
	begin := expandWrite{says: string(stateInProgress)}
	if driver == inController {
		return map[string]expandWrite{
			"begin":      begin,
			"volume":     {volume: true, says: `"capacity"`},
			"finish":     {says: `"capacity"`},
			"infeasible": {says: string(stateInfeasible), code: codes.OutOfRange},
			"final":      {says: "ControllerResizeError", code: codes.Internal},
		}
	}
	return map[string]expandWrite{
		"begin":     begin,
		"volume":    {volume: true, says: `"capacity"`},
		"hand-over": {says: string(stateOnNode)},
		"final":     {says: "ControllerResizeError", code: codes.Internal},
		"unmark":    {volume: true, says: preResizeCapacity + `":null`},
	}
}

func (w expandWrite) fails(s *scene, p *proxy.Proxy, driver string, claim *corev1.PersistentVolumeClaim, fault proxy.Rule) {
	s.Helper()
	s.bound(claim.Name)
	fault.Match, fault.Count = s.patches(claim.Name, w.says), 1
	if w.volume {
		fault.Match = volumePatches(claim)
		fault.Match.Body = w.says
	}
	injected := p.Add(fault)
	if w.code != codes.OK {
		s.rule(control.Rule{Match: expanding(claim), Count: 1, Code: w.code, Message: "once"})
	}
	s.ask(claim.Name, "2Gi")
	s.ends(claim, driver, "2Gi")
	s.must(injected.Wait(s.ctx, 1))
	s.unmarked(claim.Name)
}

// unmarked waits until the claim's volume does not carry its old size.
func (s *scene) unmarked(claim string) {
	s.Helper()
	s.until("the volume of claim "+claim+" has lost its mark", func() (bool, error) {
		_, marked := s.volumeOf(claim).Annotations[preResizeCapacity]
		return !marked, nil
	})
}

// TestExpandRealConflict: somebody changes the claim and the volume between the
// driver's answer and its being written down. The answer is not lost: the driver
// is not asked again.
func TestExpandRealConflict(t *testing.T) {
	t.Parallel()
	s := newScene(t, inController)
	p := s.proxy()
	s.through(p)
	claim := s.claim("c", s.expandableClass("sc", nil))
	volume := s.bound("c")
	held := p.Add(proxy.Rule{Match: volumePatches(claim), Hold: true, Count: 1})
	s.ask("c", "2Gi")
	s.must(held.Wait(s.ctx, 1))
	note := []byte(`{"metadata":{"annotations":{"example.com/note":"changed"}}}`)
	_, err := shared.Client.CoreV1().PersistentVolumes().Patch(s.ctx, volume.Name, types.MergePatchType, note, metav1.PatchOptions{})
	s.must(err)
	_, err = shared.Client.CoreV1().PersistentVolumeClaims(s.id).Patch(s.ctx, "c", types.MergePatchType, note, metav1.PatchOptions{})
	s.must(err)
	held.Remove()
	expanded := s.expanded("c", "2Gi")
	if expanded.Annotations["example.com/note"] != "changed" || s.volumeOf("c").Annotations["example.com/note"] != "changed" {
		t.Errorf("what others have written is lost")
	}
	if got := s.expansions(claim); len(got) != 1 {
		t.Errorf("the driver was asked for %v, want just once", got)
	}
	if got := s.resizeEvents("c")[reasonResizeFailed]; got != 0 {
		t.Errorf("there are %d warnings", got)
	}
}

// TestExpandBackOff (W-P1): what the sidecar writes does not have it try again
// before its time, however slowly the driver fails.
func TestExpandBackOff(t *testing.T) {
	t.Parallel()
	const (
		start = 300 * time.Millisecond
		calls = 5
	)
	for name, slow := range map[string]time.Duration{"at-once": 0, "slowly": 1100 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, inController)
			s.sidecar("--retry-interval-start="+start.String(), "--retry-interval-max=5m")
			claim := s.claim("c", s.expandableClass("sc", nil))
			s.bound("c")
			s.rule(control.Rule{Match: expanding(claim), Delay: slow, Code: codes.Internal, Message: "no"})
			s.ask("c", "2Gi")
			made := s.calls("ControllerExpandVolume", calls)
			wait := start - start/10 // the back-off's jitter
			for n, call := range made[1:calls] {
				if pause := call.Started.Sub(made[n].Finished); pause < wait {
					t.Errorf("call %d came %s after the one before it, want at least %s", n+1, pause, wait)
				}
				wait *= 2
			}
			// Nor does each attempt tell that it begins (W-P9).
			if got := s.resizeEvents("c")[reasonResizing]; got != 1 {
				t.Errorf("%d events tell that the volume is expanding", got)
			}
		})
	}
}

// TestExpandInfeasiblePause: an infeasible size costs one call, not two (W-C16),
// also for the process that takes over, and is tried again after the pause.
func TestExpandInfeasiblePause(t *testing.T) {
	t.Parallel()
	const pause = 4 * time.Second
	s := newScene(t, inController)
	flag := "--retry-interval-max=" + pause.String()
	sidecar := s.sidecar(flag)
	claim := s.claim("c", s.expandableClass("sc", nil))
	s.bound("c")
	s.rule(control.Rule{Match: expanding(claim), Count: 1, Code: codes.InvalidArgument, Message: "not now"})
	s.ask("c", "2Gi")
	s.inState("c", stateInfeasible)
	s.must(sidecar.Kill())
	s.namedSidecar("next-"+s.id, flag)
	s.expanded("c", "2Gi")
	made := s.calls("ControllerExpandVolume", 2)
	// The time of a condition is in whole seconds.
	if got := made[1].Started.Sub(made[0].Finished); len(made) != 2 || got < pause-time.Second {
		t.Errorf("the driver was asked %d times, with a pause of %s, want %s", len(made), got, pause)
	}
}

// TestExpandNonsense (W-C7): what a driver answers that can't be.
func TestExpandNonsense(t *testing.T) {
	t.Parallel()
	s := newScene(t, inController)
	p := s.proxy()
	s.through(p, soon)
	class := s.expandableClass("sc", nil)
	for name, c := range map[string]struct {
		bytes int64
		ends  string // empty for an error
	}{
		"nothing": {0, "2Gi"},
		"more":    {bytesOf("3Gi"), "3Gi"},
		"less":    {bytesOf("1536Mi"), ""},
		"minus":   {-1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := s.in(t)
			claim := s.claim(name, class)
			s.bound(name)
			remove := s.rule(control.Rule{Match: expanding(claim), Response: control.ExpandedCapacity(c.bytes)})
			s.ask(name, "2Gi")
			if c.ends != "" {
				s.expanded(name, c.ends)
				return
			}
			t.Log(s.event(s.id, name, reasonResizeFailed, "fault of the driver"))
			s.volumeHas(name, "1Gi")
			remove()
			s.expanded(name, "2Gi")
		})
	}
}

// TestExpandRetained: a volume that outlives its claim carries the size of its
// file system while the node has work to do, and no longer.
func TestExpandRetained(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	p := s.proxy()
	s.through(p)
	for policy, want := range map[string]string{"Retain": "1Gi", "Delete": ""} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			s := s.in(t)
			name := map[string]string{"Retain": "kept", "Delete": "gone"}[policy]
			claim := s.claim(name, s.expandableClass(name, nil, "reclaimPolicy: "+policy))
			s.bound(name)
			s.ask(name, "2Gi")
			s.handedOver(name, "2Gi")
			if got := s.volumeOf(name).Annotations[preResizeCapacity]; got != want {
				t.Errorf("%s is %q, want %q", preResizeCapacity, got, want)
			}
			s.nodeExpands(name)
			s.expanded(name, "2Gi")
			s.unmarked(name)
			if got := p.Writes(volumePatches(claim)); len(got) > 2 {
				t.Errorf("%d patches of the volume: %s", len(got), bodies(got))
			}
		})
	}
}
