package faults

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/load"
)

// recorder is a sidecar that notes what is done to it, with the seconds.
type recorder struct {
	begin time.Time
	done  map[string]int
}

func (r *recorder) note(what string) { r.done[what] = int(time.Since(r.begin).Seconds()) }
func (r *recorder) Kill()            { r.note("kill") }
func (r *recorder) Pause()           { r.note("pause") }
func (r *recorder) Resume()          { r.note("resume") }

func TestSidecarFaults(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		first, second := &recorder{time.Now(), map[string]int{}}, &recorder{time.Now(), map[string]int{}}
		i := &Injector{Sidecars: []Sidecar{first, second}}
		for _, fault := range []Fault{{Kind: PauseSidecar, For: 5 * time.Second, Replica: 1}, {Kind: KillSidecar}} {
			if err := i.Inject(t.Context(), fault); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff([]map[string]int{{"kill": 5}, {"pause": 0, "resume": 5}}, []map[string]int{first.done, second.done}); diff != "" {
			t.Errorf("what was done (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(map[Kind]int{PauseSidecar: 1, KillSidecar: 1}, i.Counts.ByKind()); diff != "" || i.Counts.Total() != 2 {
			t.Errorf("counts (-want +got):\n%s", diff)
		}
	})
}

// TestOverEndsFaults: a fault that lasts does not outlast the time of all faults.
func TestOverEndsFaults(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		over := make(chan struct{})
		time.AfterFunc(2*time.Second, func() { close(over) })
		sidecar := &recorder{time.Now(), map[string]int{}}
		i := &Injector{Sidecars: []Sidecar{sidecar}, Over: over}
		if err := i.Inject(t.Context(), Fault{Kind: PauseSidecar, For: time.Hour}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]int{"pause": 0, "resume": 2}, sidecar.done); diff != "" {
			t.Errorf("what was done (-want +got):\n%s", diff)
		}
	})
}

func TestRemovedObjectsComeBack(t *testing.T) {
	t.Parallel()
	client := fake.NewClientset()
	i := &Injector{
		API:             load.API{Client: client},
		Class:           load.NewClass("class", "driver", corev1.PersistentVolumeReclaimDelete),
		SecretNamespace: "ns",
	}
	if err := i.API.CreateClass(t.Context(), i.Class); err != nil {
		t.Fatal(err)
	}
	if err := i.API.CreateSecret(t.Context(), "ns"); err != nil {
		t.Fatal(err)
	}
	client.ClearActions()
	for _, kind := range []Kind{RemoveClass, RemoveSecret} {
		if err := i.Inject(t.Context(), Fault{Kind: kind}); err != nil {
			t.Fatal(err)
		}
	}
	var done []string
	for _, action := range client.Actions() {
		done = append(done, action.GetVerb()+" "+action.GetResource().Resource)
	}
	if diff := cmp.Diff([]string{"delete storageclasses", "create storageclasses", "delete secrets", "create secrets"}, done); diff != "" {
		t.Errorf("what was done (-want +got):\n%s", diff)
	}
	if _, err := client.StorageV1().StorageClasses().Get(t.Context(), "class", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
}

// TestOneFaultOfTheCluster: a second one is left out, and not counted.
func TestOneFaultOfTheCluster(t *testing.T) {
	t.Parallel()
	var turn sync.Mutex
	turn.Lock()
	i := &Injector{Turn: &turn}
	for _, kind := range []Kind{PauseAPIServer, PauseEtcd, RestartAPIServer, RestartEtcd} {
		if err := i.Inject(t.Context(), Fault{Kind: kind}); err != nil {
			t.Error(err)
		}
	}
	if total := i.Counts.Total(); total != 0 {
		t.Errorf("%d faults were counted", total)
	}
	if err := i.Inject(t.Context(), Fault{Kind: "earthquake"}); err == nil {
		t.Error("an unknown fault is no error")
	}
}
