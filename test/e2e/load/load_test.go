package load

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/wait"
)

var errAway = errors.New("the API server is away")

// bound is a claim of 1Gi that is bound.
func bound(change func(*corev1.PersistentVolumeClaim)) *corev1.PersistentVolumeClaim {
	claim := NewClaim("c", "class")
	claim.Namespace = "ns"
	claim.Spec.VolumeName = "pv"
	claim.Status = corev1.PersistentVolumeClaimStatus{
		Phase:    corev1.ClaimBound,
		Capacity: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(Small)},
	}
	change(claim)
	return claim
}

func as(*corev1.PersistentVolumeClaim) {}

// failing has the first requests of a verb fail; those after it is done have been done
// all the same.
func failing(client *fake.Clientset, verb string, times int, done bool) {
	client.PrependReactor(verb, "persistentvolumeclaims", func(action clienttesting.Action) (bool, runtime.Object, error) {
		if times == 0 {
			return false, nil, nil
		}
		times--
		if create, ok := action.(clienttesting.CreateAction); ok && done {
			_ = client.Tracker().Add(create.GetObject())
		}
		return true, nil, errAway
	})
}

func patient(client *fake.Clientset) API {
	return API{Client: client, Patience: wait.Patience{For: time.Minute, Every: time.Millisecond}}
}

func TestCreate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		done bool
		want bool
	}{
		"the request is lost": {false, true},
		"the answer is lost":  {true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := fake.NewClientset()
			failing(client, "create", 1, c.done)
			claim := bound(as)
			created, err := patient(client).Claims("ns").Create(t.Context(), claim)
			if created != c.want || err != nil {
				t.Errorf("created: %t, %v", created, err)
			}
			if _, err := client.CoreV1().PersistentVolumeClaims("ns").Get(t.Context(), "c", metav1.GetOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
	client := fake.NewClientset()
	failing(client, "create", 1, false)
	if _, err := (API{Client: client}).Claims("ns").Create(t.Context(), bound(as)); !errors.Is(err, errAway) {
		t.Errorf("without patience: %v", err)
	}
}

func TestChange(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		claims  []runtime.Object
		want    error
		patches int
	}{
		"bound": {[]runtime.Object{bound(as)}, nil, 1},
		"being deleted": {[]runtime.Object{bound(func(c *corev1.PersistentVolumeClaim) {
			c.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)}
			c.Finalizers = []string{"kubernetes.io/pvc-protection"}
		})}, nil, 0},
		"gone":    {nil, nil, 0},
		"pending": {[]runtime.Object{bound(func(c *corev1.PersistentVolumeClaim) { c.Status.Phase = corev1.ClaimPending })}, errUnbound, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := fake.NewClientset(c.claims...)
			if err := (API{Client: client}).Claims("ns").Expand(t.Context(), "c", Large); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			patches := slices.DeleteFunc(client.Actions(), func(a clienttesting.Action) bool { return a.GetVerb() != "patch" })
			if len(patches) != c.patches {
				t.Errorf("%d patches, want %d", len(patches), c.patches)
			}
		})
	}
}

func TestWaitSize(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*corev1.PersistentVolumeClaim)
		size   string
		well   bool
	}{
		"bound":      {as, Small, true},
		"other size": {as, Large, false},
		"pending":    {func(c *corev1.PersistentVolumeClaim) { c.Status.Phase = corev1.ClaimPending }, Small, false},
		"being expanded": {func(c *corev1.PersistentVolumeClaim) {
			c.Status.AllocatedResourceStatuses = map[corev1.ResourceName]corev1.ClaimResourceStatus{
				corev1.ResourceStorage: corev1.PersistentVolumeClaimControllerResizeInProgress,
			}
		}, Small, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := API{Client: fake.NewClientset(bound(c.change))}
			volume, err := api.Claims("ns").WaitSize(t.Context(), "c", c.size)
			if (err == nil) != c.well || volume != "pv" {
				t.Errorf("volume %q: %v", volume, err)
			}
		})
	}
}

func TestWaitGone(t *testing.T) {
	t.Parallel()
	client := fake.NewClientset(bound(as))
	claims := API{Client: client}.Claims("ns")
	if err := claims.WaitGone(t.Context(), "c"); !errors.Is(err, errThere) {
		t.Errorf("it is there: %v", err)
	}
	if err := claims.Delete(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	if err := claims.WaitGone(t.Context(), "c"); err != nil {
		t.Errorf("it has gone: %v", err)
	}
	failing(client, "get", 1, false)
	if err := claims.WaitGone(t.Context(), "c"); !errors.Is(err, errAway) {
		t.Errorf("nobody knows: %v", err)
	}
}

// TestSecretIsFound: what is looked for in logs is what the Secret holds.
func TestSecretIsFound(t *testing.T) {
	t.Parallel()
	client := fake.NewClientset()
	api := API{Client: client}
	if err := api.CreateNamespace(context.Background(), "ns"); err != nil {
		t.Fatal(err)
	}
	secret, err := client.CoreV1().Secrets("ns").Get(t.Context(), secretName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !Reveals("x" + secret.StringData["password"] + "y") {
		t.Error("the value is not found")
	}
	class := WithSecret(NewClass("class", "driver", corev1.PersistentVolumeReclaimDelete), ClaimNamespace)
	if got := class.Parameters["csi.storage.k8s.io/provisioner-secret-name"]; got != secret.Name {
		t.Errorf("the class names Secret %q", got)
	}
}
