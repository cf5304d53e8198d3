package modify_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/controller/modify"
)

func TestWants(t *testing.T) {
	type claim = corev1.PersistentVolumeClaim
	gold, silver := "gold", "silver"
	with := func(changes ...func(*claim)) *claim {
		c := &claim{Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound}}
		c.UID = "uid-1"
		for _, change := range changes {
			change(c)
		}
		return c
	}
	asks := func(c *claim) { c.Spec.VolumeAttributesClassName = &gold }
	asksElse := func(c *claim) { c.Spec.VolumeAttributesClassName = &silver }
	has := func(c *claim) { c.Status.CurrentVolumeAttributesClassName = &gold }
	busy := func(c *claim) { c.Status.ModifyVolumeStatus = &corev1.ModifyVolumeStatus{Status: "InProgress"} }
	failed := func(c *claim) {
		c.Status.Conditions = []corev1.PersistentVolumeClaimCondition{{Type: corev1.PersistentVolumeClaimVolumeModifyVolumeError}}
	}
	unbound := func(c *claim) { c.Status.Phase = corev1.ClaimPending }
	going := func(c *claim) { c.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)} }
	another := func(c *claim) { c.UID = "uid-2" }
	labeled := func(c *claim) { c.Labels, c.ResourceVersion = map[string]string{"a": "b"}, "9" }
	annotated := func(key, driver string) func(c *claim) {
		return func(c *claim) { metav1.SetMetaDataAnnotation(&c.ObjectMeta, key, driver) }
	}
	const provisioner = "volume.kubernetes.io/storage-provisioner"
	for name, test := range map[string]struct {
		old, now *claim
		want     bool
	}{
		"appears and asks": {nil, with(asks), true},
		// Its volume may have been given to this driver by hand.
		"appears, asks, names another driver": {nil, with(asks, annotated(provisioner, "other.csi.example")), true},
		"appears in progress":                 {nil, with(asks, has, busy), true},
		"appears with an old error":           {nil, with(asks, has, failed), true},
		"appears with what it asks for":       {nil, with(asks, has), false},
		"appears without a class":             {nil, with(), false},
		"appears unbound":                     {nil, with(asks, unbound), false},
		"takes another's place":               {with(asks, has), with(asks, another), true},
		"becomes bound":                       {with(asks, unbound), with(asks), true},
		"becomes bound with its class":        {with(asks, unbound), with(asks, has), false},
		"names a class":                       {with(), with(asks), true},
		"names another":                       {with(asks, has), with(asksElse, has), true},
		"goes back":                           {with(asksElse, has, busy), with(asks, has, busy), true},
		"names none any more":                 {with(asks, busy), with(busy), true},
		"names another, is unbound":           {with(asks, unbound), with(asksElse, unbound), false},
		"is deleted":                          {with(asks, busy), with(asks, busy, going), true},
		"is deleted, with nothing to do":      {with(asks, has), with(asks, has, going), false},
		"own write: begins":                   {with(asks), with(asks, busy), false},
		"own write: fails":                    {with(asks, busy), with(asks, busy, failed), false},
		"own write: ends":                     {with(asks, busy), with(asks, has), false},
		"somebody's write":                    {with(asks), with(asks, labeled), false},
		"nobody's write":                      {with(asks, busy), with(asks, busy), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := modify.Wants(test.old, test.now); got != test.want {
				t.Errorf("wanted: %t, want %t", got, test.want)
			}
		})
	}
}

// engine runs the controller as the program does, in a bubble of synctest.
func engine(t *testing.T, test func(r *rig, queue *controller.Controller[modify.Key])) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := asking(t)
		r.restart(clock.RealClock{})
		queue, err := controller.New(controller.Options{
			Name: "modify", Workers: 2, RetryStart: time.Second, RetryMax: 8 * time.Second, Jitter: func() float64 { return 0 },
		}, r.subject)
		if err != nil {
			t.Fatal(err)
		}
		r.seen = func(old, now *corev1.PersistentVolumeClaim) {
			if modify.Wants(old, now) {
				queue.Add(modify.KeyOf(now))
			}
		}
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			queue.Run(klog.NewContext(t.Context(), logr.Discard()), stop)
			close(stopped)
		}()
		test(r, queue)
		close(stop)
		<-stopped
	})
}

// TestBackoff fails again and again, after 0, 1, 3, 7 and then every 8 seconds:
// own writes don't shorten that.
func TestBackoff(t *testing.T) {
	for name, code := range map[string]codes.Code{"unfinished": codes.Unavailable, "final": codes.Internal} {
		t.Run(name, func(t *testing.T) {
			engine(t, func(r *rig, queue *controller.Controller[modify.Key]) {
				r.fail = func(what string, _ int) error {
					if what == "driver" {
						return status.Error(code, "out of order")
					}
					return nil
				}
				queue.Add(r.key())
				time.Sleep(60 * time.Second)
				synctest.Wait()
				if got := r.count("driver"); got != 10 {
					t.Errorf("%d calls in a minute, want 10", got)
				}
				r.taken()
				queue.Wake(controller.DriverReconnected())
				synctest.Wait()
				if got := r.count("driver"); got != 1 {
					t.Errorf("%d calls when the driver is back, want 1", got)
				}
			})
		})
	}
}

// TestWakeUps have claims looked at as soon as what they wait for is there.
func TestWakeUps(t *testing.T) {
	for name, test := range map[string]struct {
		prepare func(r *rig)
		happens func(r *rig)
		wake    controller.Dependency
	}{
		"class made late": {
			func(r *rig) { r.want("bronze") },
			func(r *rig) { r.make("bronze", driverName) },
			controller.AttributesClassChanged("bronze"),
		},
		"class of another driver made anew": {
			func(r *rig) { r.make("bronze", "other.csi.example"); r.want("bronze") },
			func(r *rig) { r.make("bronze", driverName) },
			controller.AttributesClassChanged("bronze"),
		},
		"volume shown late": {
			func(r *rig) { _ = r.volumes.Delete(r.volume) },
			func(r *rig) { r.put(r.volumes, r.volume) },
			controller.VolumeChanged("pv-1"),
		},
		"infeasible class made anew": {
			func(r *rig) { r.fail = nth("driver", 0, status.Error(codes.InvalidArgument, "no such tier")) },
			func(r *rig) {
				class, _ := r.deps.Classes.Get("gold")
				class = class.DeepCopy()
				class.CreationTimestamp = metav1.Now()
				r.put(r.classes, class)
			},
			controller.AttributesClassChanged("gold"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			engine(t, func(r *rig, queue *controller.Controller[modify.Key]) {
				test.prepare(r)
				queue.Add(r.key())
				time.Sleep(time.Minute)
				synctest.Wait()
				if r.claim.Status.CurrentVolumeAttributesClassName != nil {
					t.Errorf("the claim is %s too early", show(r.claim))
				}
				test.happens(r)
				queue.Wake(test.wake)
				synctest.Wait()
				if r.claim.Status.CurrentVolumeAttributesClassName == nil {
					t.Errorf("the claim is %s", show(r.claim))
				}
			})
		})
	}
}

// TestPauseEnds tries a refused class again when the pause is over, and another
// one at once.
func TestPauseEnds(t *testing.T) {
	for name, test := range map[string]struct {
		act  func(r *rig)
		want string
	}{
		"waits":         {func(*rig) { time.Sleep(pause) }, "cur=gold"},
		"other class":   {func(r *rig) { r.want("silver") }, "cur=silver"},
		"asks no more":  {func(r *rig) { r.want("") }, "cur=-"},
		"almost waited": {func(*rig) { time.Sleep(pause - 2*time.Second) }, "cur=- Infeasible=gold ModifyingVolume=WaitingForRetry ModifyVolumeError=InvalidArgument"},
	} {
		t.Run(name, func(t *testing.T) {
			engine(t, func(r *rig, queue *controller.Controller[modify.Key]) {
				r.fail = nth("driver", 0, status.Error(codes.InvalidArgument, "no such tier"))
				queue.Add(r.key())
				synctest.Wait()
				test.act(r)
				synctest.Wait()
				if got := show(r.claim); got != test.want {
					t.Errorf("the claim is %s, want %s", got, test.want)
				}
			})
		})
	}
}
