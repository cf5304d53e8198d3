package sidecar

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/klog/v2"

	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
)

// logTo returns a context whose logger writes there.
func logTo(ctx context.Context, out io.Writer) context.Context {
	return klog.NewContext(ctx, funcr.New(func(_, line string) { _, _ = io.WriteString(out, line+"\n") }, funcr.Options{}))
}

// The name must be that of external-provisioner, to the letter, or both work at
// the same time.
func TestLeaseName(t *testing.T) {
	for driver, want := range map[string]string{
		"ebs.csi.aws.com": "ebs-csi-aws-com",
		"driver":          "driver",
		"Driver.Example":  "Driver-Example",
		"a/b":             "a-b",
		"a_b c":           "a-b-c",
		"driver.":         "driver-X",
		"driver-":         "driver-X",
		"drïver.example":  "dr-ver-example",
		"1.2":             "1-2",
		"":                "",
	} {
		if got := leaseName(driver); got != want {
			t.Errorf("leaseName(%q) = %q, want %q", driver, got, want)
		}
	}
}

func TestIsFree(t *testing.T) {
	held := func(holder *string) *coordinationv1.Lease {
		return &coordinationv1.Lease{Spec: coordinationv1.LeaseSpec{HolderIdentity: holder}}
	}
	somebody, nobody := "pod-1", ""
	for name, c := range map[string]struct {
		object runtime.Object
		want   bool
	}{
		"held":           {held(&somebody), false},
		"given back":     {held(&nobody), true},
		"never held":     {held(nil), true},
		"something else": {&corev1.Pod{}, false},
	} {
		if got := isFree(c.object); got != c.want {
			t.Errorf("%s: isFree = %t, want %t", name, got, c.want)
		}
	}
}

func TestSignalNeverWaits(t *testing.T) {
	to := make(chan struct{}, 1)
	signal(to)
	signal(to)
	if len(to) != 1 {
		t.Errorf("%d signals are kept, want 1", len(to))
	}
}

func TestLock(t *testing.T) {
	hostname, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		namespace, pod            string
		wantNamespace, wantHolder string
	}{
		// No service account is mounted where tests run.
		"by default":     {"", "", "default", leaseName(hostname)},
		"in a namespace": {"ns", "", "ns", leaseName(hostname)},
		"of a pod":       {"ns", "pod-1.x", "ns", "pod-1-x"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Setenv("POD_NAME", c.pod)
			client := fake.NewClientset()
			p := &process{clients: &kube.Clients{Leases: client}, events: kube.NewEvents(t.Context(), client, "x")}
			defer p.events.Shutdown()
			p.config.LeaderElection.Namespace = c.namespace
			p.config.LeaderElection.Labels = map[string]string{"a": "b"}
			lock, err := p.lock("lease")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(serviceAccountNamespace); err == nil && c.namespace == "" {
				t.Skip("a service account is mounted here")
			}
			if lock.LeaseMeta.Namespace != c.wantNamespace || lock.LeaseMeta.Name != "lease" || lock.Identity() != c.wantHolder || lock.Labels["a"] != "b" {
				t.Errorf("the lock is of lease %s/%s, for %s, with labels %v", lock.LeaseMeta.Namespace, lock.LeaseMeta.Name, lock.Identity(), lock.Labels)
			}
		})
	}
}

func TestNewIdentity(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_123)
	first := newIdentity(at, "driver.example", "")
	if len(first) < len("1700000000123-0-driver.example") || first[:14] != "1700000000123-" || first[len(first)-15:] != "-driver.example" {
		t.Errorf("the identity is %q", first)
	}
	if onNode := newIdentity(at, "driver.example", "n1"); !strings.HasSuffix(onNode, "-driver.example-n1") {
		t.Errorf("on node n1 the identity is %q", onNode)
	}
	for range 100 {
		if newIdentity(at, "driver.example", "") != first {
			return
		}
	}
	t.Error("two processes that start at the same time have the same identity")
}

func TestUnlessStopped(t *testing.T) {
	failure := errors.New("no")
	if err := unlessStopped(t.Context(), failure); !errors.Is(err, failure) {
		t.Errorf("an error becomes %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := unlessStopped(ctx, failure); err != nil {
		t.Errorf("after the stop, an error becomes %v", err)
	}
}
