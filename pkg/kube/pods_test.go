package kube

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

// pod is a pod with volumes.
func pod(namespace, name string, phase corev1.PodPhase, volumes ...corev1.Volume) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID("uid of " + name)},
		Spec:       corev1.PodSpec{Volumes: volumes},
		Status:     corev1.PodStatus{Phase: phase},
	}
}

func byClaim(claim string) corev1.Volume {
	return corev1.Volume{Name: "vol", VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim},
	}}
}

func ephemeral(name string) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}}
}

func empty() corev1.Volume {
	return corev1.Volume{Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}
}

// ownedBy is the claim web-vol, which a pod may own.
func ownedBy(pod string, controls bool) *corev1.PersistentVolumeClaim {
	c := claim(metav1.ObjectMeta{Namespace: "ns", Name: "web-vol"})
	if pod != "" {
		c.OwnerReferences = []metav1.OwnerReference{{Kind: "Pod", Name: pod, UID: types.UID("uid of " + pod), Controller: &controls}}
	}
	return c
}

func TestPodsUsing(t *testing.T) {
	plain := ownedBy("", false)
	cases := map[string]struct {
		claim *corev1.PersistentVolumeClaim
		pods  []*corev1.Pod
		want  []string
	}{
		"none": {plain, nil, nil},
		"running, waiting or not heard of": {plain, []*corev1.Pod{
			pod("ns", "a", corev1.PodRunning, byClaim("web-vol")),
			pod("ns", "b", corev1.PodPending, empty(), byClaim("web-vol")),
			pod("ns", "c", corev1.PodUnknown, byClaim("other"), byClaim("web-vol")),
			pod("ns", "d", "", byClaim("web-vol")),
		}, []string{"a", "b", "c", "d"}},
		"ended": {plain, []*corev1.Pod{
			pod("ns", "a", corev1.PodSucceeded, byClaim("web-vol")), pod("ns", "b", corev1.PodFailed, byClaim("web-vol")),
		}, nil},
		"other claims": {plain, []*corev1.Pod{
			pod("ns", "a", corev1.PodRunning, byClaim("other")), pod("ns", "b", corev1.PodRunning, empty()), pod("ns", "c", corev1.PodRunning),
		}, nil},
		"another namespace": {plain, []*corev1.Pod{pod("other", "a", corev1.PodRunning, byClaim("web-vol"))}, nil},
		"ephemeral": {ownedBy("web", true), []*corev1.Pod{
			pod("ns", "web", corev1.PodRunning, ephemeral("vol")), pod("ns", "web2", corev1.PodRunning, ephemeral("vol")),
		}, []string{"web"}},
		"ephemeral, ended":            {ownedBy("web", true), []*corev1.Pod{pod("ns", "web", corev1.PodFailed, ephemeral("vol"))}, nil},
		"ephemeral, another of its":   {ownedBy("web", true), []*corev1.Pod{pod("ns", "web", corev1.PodRunning, ephemeral("vol2"))}, nil},
		"of the name of an ephemeral": {plain, []*corev1.Pod{pod("ns", "web", corev1.PodRunning, ephemeral("vol"))}, nil},
		"owned, but not controlled":   {ownedBy("web", false), []*corev1.Pod{pod("ns", "web", corev1.PodRunning, ephemeral("vol"))}, nil},
		"ephemeral, used by name as well": {ownedBy("web", true), []*corev1.Pod{
			pod("ns", "thief", corev1.PodRunning, byClaim("web-vol")),
		}, []string{"thief"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			client := fake.NewClientset()
			for _, p := range c.pods {
				if err := client.Tracker().Add(p); err != nil {
					t.Fatal(err)
				}
			}
			got, err := NewPods(client, clock.RealClock{}, nil).Using(t.Context(), c.claim)
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("Using = %q, %v, want %q", got, err, c.want)
			}
		})
	}
}

func TestPodsUsingFails(t *testing.T) {
	client := fake.NewClientset()
	failing(client, "list", "pods", errors.New("no rights"))
	_, err := NewPods(client, clock.RealClock{}, nil).Using(t.Context(), ownedBy("", false))
	if err == nil || !strings.Contains(err.Error(), "ns/web-vol: no rights") {
		t.Errorf("Using: %v", err)
	}
}

// follower follows pods in a bubble of synctest: time passes only when all wait.
type follower struct {
	*Pods
	t *testing.T

	mu      sync.Mutex
	watches []*watch.FakeWatcher
	options []metav1.ListOptions
	ended   []string
	err     error // of new watches
}

// following runs a test of a follower. All watches end with the test, and so
// must everything else.
func following(t *testing.T, test func(f *follower, ctx context.Context)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := &follower{t: t}
		client := fake.NewClientset()
		client.PrependWatchReactor("pods", func(action clienttesting.Action) (bool, watch.Interface, error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.options = append(f.options, action.(clienttesting.WatchActionImpl).ListOptions)
			if f.err != nil {
				return true, nil, f.err
			}
			f.watches = append(f.watches, watch.NewFake())
			return true, f.watches[len(f.watches)-1], nil
		})
		f.Pods = NewPods(client, clock.RealClock{}, func(namespace string) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.ended = append(f.ended, namespace)
		})
		ctx, cancel := context.WithCancel(quiet())
		test(f, ctx)
		cancel()
		for _, w := range f.watches {
			w.Stop()
		}
	})
}

// quiet is a context whose logger says nothing.
func quiet() context.Context { return klog.NewContext(context.Background(), logr.Discard()) }

// last returns the watch that has begun last.
func (f *follower) last() *watch.FakeWatcher {
	synctest.Wait()
	return f.watches[len(f.watches)-1]
}

// expect checks for which namespaces ended was called since it was last called,
// and how many watches have begun so far.
func (f *follower) expect(watches int, want ...string) {
	f.t.Helper()
	synctest.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Equal(f.ended, want) {
		f.t.Errorf("pods of %q have ended, want %q", f.ended, want)
	}
	if len(f.options) != watches {
		f.t.Errorf("%d watches have begun, want %d", len(f.options), watches)
	}
	f.ended = nil
}

func TestFollowTellsOfPodsThatEnd(t *testing.T) {
	following(t, func(f *follower, ctx context.Context) {
		f.Follow(ctx, "ns")
		f.Follow(ctx, "ns")
		// One may have ended before it was watched.
		f.expect(1, "ns")
		w := f.last()
		w.Add(pod("ns", "a", corev1.PodPending))
		w.Modify(pod("ns", "a", corev1.PodRunning))
		f.expect(1)
		w.Modify(pod("ns", "a", corev1.PodSucceeded))
		f.expect(1, "ns")
		w.Modify(pod("ns", "b", corev1.PodFailed))
		f.expect(1, "ns")
		w.Delete(pod("ns", "c", corev1.PodRunning))
		f.expect(1, "ns")
		w.Error(&metav1.Status{Message: "too old"})
		f.expect(1)
		if timeout := f.options[0].TimeoutSeconds; timeout == nil || *timeout != 600 {
			t.Errorf("the watch has the options %+v, and so perhaps no end", f.options[0])
		}
	})
}

func TestFollowSeveralNamespaces(t *testing.T) {
	following(t, func(f *follower, ctx context.Context) {
		f.Follow(ctx, "a")
		f.expect(1, "a")
		f.Follow(ctx, "b")
		f.expect(2, "b")
		f.last().Delete(pod("b", "x", corev1.PodRunning))
		f.expect(2, "b")
	})
}

// Servers end watches as they like. What happens in between is not told.
func TestFollowWatchesAgain(t *testing.T) {
	following(t, func(f *follower, ctx context.Context) {
		f.Follow(ctx, "ns")
		f.expect(1, "ns")
		f.last().Stop()
		f.expect(1)
		time.Sleep(podsRetry)
		f.expect(2, "ns")
		f.last().Delete(pod("ns", "a", corev1.PodRunning))
		f.expect(2, "ns")
	})
}

func TestFollowWithoutRights(t *testing.T) {
	following(t, func(f *follower, ctx context.Context) {
		f.err = errors.New("no rights")
		f.Follow(ctx, "ns")
		f.expect(1)
		time.Sleep(2 * podsRetry)
		f.expect(3)
		f.mu.Lock()
		f.err = nil
		f.mu.Unlock()
		time.Sleep(podsRetry)
		f.expect(4, "ns")
	})
}

func TestFollowEndsWhenNobodyAsks(t *testing.T) {
	following(t, func(f *follower, ctx context.Context) {
		f.Follow(ctx, "ns")
		f.expect(1, "ns")
		time.Sleep(podsFollowed / 2)
		f.Follow(ctx, "ns") // Until half as long after the first watch's end.
		f.last().Stop()
		time.Sleep(podsRetry)
		f.expect(2, "ns")
		time.Sleep(podsFollowed)
		f.last().Stop()
		time.Sleep(time.Hour)
		f.expect(2)
		if len(f.followed) != 0 {
			t.Errorf("%v is followed indefinitely", f.followed)
		}
		f.Follow(ctx, "ns")
		f.expect(3, "ns")
	})
}

func TestFollowEndsWithTheContext(t *testing.T) {
	following(t, func(f *follower, ctx context.Context) {
		ctx, cancel := context.WithCancel(ctx)
		f.Follow(ctx, "ns")
		f.expect(1, "ns")
		cancel()
		f.last().Stop() // As that of a real client does.
		time.Sleep(time.Minute)
		f.expect(1)
		if len(f.followed) != 0 {
			t.Errorf("%v is followed indefinitely", f.followed)
		}
	})
}
