package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	clienttesting "k8s.io/client-go/testing"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
)

func resource(name string) schema.GroupResource { return schema.GroupResource{Resource: name} }

// owned is the volume of a claim.
func owned(claim types.UID, handle string) *corev1.PersistentVolume {
	v := volume(metav1.ObjectMeta{Name: "pvc-1"}, driverName)
	v.Spec.CSI.VolumeHandle = handle
	if claim != "" {
		v.Spec.ClaimRef = &corev1.ObjectReference{Namespace: "ns", Name: "claim", UID: claim}
	}
	return v
}

// failing makes a verb on a resource fail.
func failing(client *fake.Clientset, verb, resource string, err error) {
	client.PrependReactor(verb, resource, func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, err
	})
}

func TestStoreCreates(t *testing.T) {
	client := fake.NewClientset()
	if err := NewVolumes(client, nil).Store(t.Context(), owned("1", "h")); err != nil {
		t.Fatalf("Store: %v", err)
	}
	stored, err := client.CoreV1().PersistentVolumes().Get(t.Context(), "pvc-1", metav1.GetOptions{})
	if err != nil || stored.Spec.CSI.VolumeHandle != "h" || stored.Spec.ClaimRef.UID != "1" {
		t.Errorf("stored is %+v, %v", stored, err)
	}
}

func TestStoreWhatExists(t *testing.T) {
	otherDriver := owned("1", "h")
	otherDriver.Spec.CSI.Driver = "other.example"
	cases := map[string]struct {
		existing *corev1.PersistentVolume
		taken    string // by whom, when it is taken
		same     bool   // whether it is the same volume at the driver
	}{
		"ours":                        {owned("1", "h"), "", true},
		"another claim's":             {owned("2", "h"), "claim ns/claim (uid 2)", true},
		"no claim's":                  {owned("", "h"), "no claim", true},
		"ours, with another handle":   {owned("1", "g"), "claim ns/claim (uid 1)", false},
		"another's in all":            {owned("2", "g"), "claim ns/claim (uid 2)", false},
		"ours, of another driver":     {otherDriver, "claim ns/claim (uid 1)", false},
		"of no driver, and unclaimed": {volume(metav1.ObjectMeta{Name: "pvc-1"}, ""), "no claim", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := NewVolumes(fake.NewClientset(c.existing), nil).Store(t.Context(), owned("1", "h"))
			if c.taken == "" {
				if err != nil {
					t.Errorf("Store: %v", err)
				}
				return
			}
			var taken *TakenError
			if !errors.As(err, &taken) {
				t.Fatalf("Store: error %v, want a TakenError", err)
			}
			if errors.Is(err, ErrRefused) {
				t.Errorf("the error %v is ErrRefused, too", err)
			}
			if want := `a PersistentVolume "pvc-1" exists already and belongs to ` + c.taken; err.Error() != want {
				t.Errorf("the error is %q, want %q", err, want)
			}
			if got := SameVolume(taken.Volume, owned("1", "h")); got != c.same {
				t.Errorf("SameVolume of the one that exists = %t, want %t", got, c.same)
			}
		})
	}
}

func TestStoreTellsRefusalsFromFailures(t *testing.T) {
	kind := schema.GroupKind{Kind: "PersistentVolume"}
	cases := map[string]struct {
		err     error
		refused bool
	}{
		"invalid":     {apierrors.NewInvalid(kind, "pvc-1", nil), true},
		"too large":   {apierrors.NewRequestEntityTooLargeError("limit is 3 MiB"), true},
		"bad request": {apierrors.NewBadRequest("no"), true},
		"conflict":    {apierrors.NewConflict(resource("persistentvolumes"), "pvc-1", errors.New("changed")), false},
		"timeout":     {apierrors.NewTimeoutError("slow", 1), false},
		"server time": {apierrors.NewServerTimeout(resource("persistentvolumes"), "create", 1), false},
		"too many":    {apierrors.NewTooManyRequests("later", 1), false},
		"internal":    {apierrors.NewInternalError(errors.New("etcd")), false},
		"forbidden":   {apierrors.NewForbidden(resource("persistentvolumes"), "pvc-1", errors.New("role")), false},
		"network":     {errors.New("connection refused"), false},
		"deadline":    {context.DeadlineExceeded, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			client := fake.NewClientset()
			failing(client, "create", "persistentvolumes", c.err)
			err := NewVolumes(client, nil).Store(t.Context(), owned("1", "h"))
			if !errors.Is(err, c.err) || !strings.Contains(err.Error(), `storing PersistentVolume "pvc-1"`) {
				t.Errorf("Store: error %v, want one that wraps %v and says what was done", err, c.err)
			}
			if got := errors.Is(err, ErrRefused); got != c.refused {
				t.Errorf("Store: error %v is ErrRefused: %t, want %t", err, got, c.refused)
			}
			var taken *TakenError
			if errors.As(err, &taken) {
				t.Errorf("Store: error %v is a TakenError", err)
			}
		})
	}
}

// A refusal does not say that the volume is not there: the API server looks at
// the name last.
func TestStoreRefusedWhatIsStored(t *testing.T) {
	refused := apierrors.NewInvalid(schema.GroupKind{Kind: "PersistentVolume"}, "pvc-1", nil)
	var taken *TakenError
	for name, c := range map[string]struct {
		stored *corev1.PersistentVolume
		right  func(error) bool
	}{
		"stored":  {owned("1", "h"), func(err error) bool { return err == nil }},
		"another": {owned("2", "other"), func(err error) bool { return errors.As(err, &taken) && !errors.Is(err, ErrRefused) }},
	} {
		t.Run(name, func(t *testing.T) {
			client := fake.NewClientset(c.stored)
			failing(client, "create", "persistentvolumes", refused)
			if err := NewVolumes(client, nil).Store(t.Context(), owned("1", "h")); !c.right(err) {
				t.Errorf("Store: error %v", err)
			}
		})
	}
	client := fake.NewClientset()
	failing(client, "create", "persistentvolumes", refused)
	failing(client, "get", "persistentvolumes", errors.New("no leader"))
	if err := NewVolumes(client, nil).Store(t.Context(), owned("1", "h")); err == nil || errors.Is(err, ErrRefused) {
		t.Errorf("Store: error %v, want one that leaves it open", err)
	}
}

// Somebody else's volume may go before it can be looked at.
func TestStoreWhatExistsNoMore(t *testing.T) {
	client := fake.NewClientset()
	failing(client, "create", "persistentvolumes", apierrors.NewAlreadyExists(resource("persistentvolumes"), "pvc-1"))
	err := NewVolumes(client, nil).Store(t.Context(), owned("1", "h"))
	var taken *TakenError
	if err == nil || errors.Is(err, ErrRefused) || errors.As(err, &taken) {
		t.Errorf("Store: error %v, want one after which it is tried again", err)
	}
}

func TestFinalizersArePatchedWithPreconditions(t *testing.T) {
	const other = "kubernetes.io/pv-protection"
	add, remove := (*Volumes).AddFinalizer, (*Volumes).RemoveFinalizer
	cases := map[string]struct {
		do           func(*Volumes, context.Context, *corev1.PersistentVolume) error
		before, want []string
	}{
		"first":         {add, nil, []string{names.VolumeFinalizer}},
		"another":       {add, []string{other}, []string{other, names.VolumeFinalizer}},
		"last":          {remove, []string{names.VolumeFinalizer}, []string{}},
		"one of two":    {remove, []string{other, names.VolumeFinalizer}, []string{other}},
		"one of others": {remove, []string{names.VolumeFinalizer, other}, []string{other}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			v := owned("1", "h")
			v.UID, v.ResourceVersion, v.Finalizers = "uid-1", "7", c.before
			untouched := v.DeepCopy()
			client := fake.NewClientset(v)
			client.ClearActions()
			if err := c.do(NewVolumes(client, nil), t.Context(), v); err != nil {
				t.Fatal(err)
			}
			actions := client.Actions()
			if len(actions) != 1 || !actions[0].Matches("patch", "persistentvolumes") {
				t.Fatalf("the requests are %v, want a patch", actions)
			}
			patch := actions[0].(clienttesting.PatchAction)
			if patch.GetPatchType() != types.MergePatchType || patch.GetName() != v.Name {
				t.Errorf("the patch is a %s of %q", patch.GetPatchType(), patch.GetName())
			}
			var got map[string]any
			if err := json.Unmarshal(patch.GetPatch(), &got); err != nil {
				t.Fatal(err)
			}
			want := map[string]any{"metadata": map[string]any{"uid": "uid-1", "resourceVersion": "7", "finalizers": anys(c.want)}}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the patch (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(untouched, v); diff != "" {
				t.Errorf("the volume was changed (-want +got):\n%s", diff)
			}
		})
	}
}

func anys(strings []string) []any {
	all := []any{}
	for _, s := range strings {
		all = append(all, s)
	}
	return all
}

func TestFinalizersOfVolumesThatAreGone(t *testing.T) {
	volumes := NewVolumes(fake.NewClientset(), nil)
	if err := volumes.RemoveFinalizer(t.Context(), owned("1", "h")); err != nil {
		t.Errorf("RemoveFinalizer: %v", err)
	}
	if err := volumes.AddFinalizer(t.Context(), owned("1", "h")); !apierrors.IsNotFound(err) {
		t.Errorf("AddFinalizer: error %v, want that it is not found", err)
	}
}

func TestFinalizerConflict(t *testing.T) {
	conflict := apierrors.NewConflict(resource("persistentvolumes"), "pvc-1", errors.New("changed"))
	client := fake.NewClientset(owned("1", "h"))
	failing(client, "patch", "persistentvolumes", conflict)
	for name, err := range map[string]error{
		"AddFinalizer":    NewVolumes(client, nil).AddFinalizer(t.Context(), owned("1", "h")),
		"RemoveFinalizer": NewVolumes(client, nil).RemoveFinalizer(t.Context(), owned("1", "h")),
	} {
		if !apierrors.IsConflict(err) || !strings.Contains(err.Error(), `PersistentVolume "pvc-1"`) {
			t.Errorf("%s: error %v, want a conflict that says of what", name, err)
		}
	}
}

func TestDeleteHasAPrecondition(t *testing.T) {
	client := fake.NewClientset(owned("1", "h"))
	if err := NewVolumes(client, nil).Delete(t.Context(), "pvc-1", "uid-1"); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	deletion, ok := client.Actions()[0].(clienttesting.DeleteAction)
	if !ok || deletion.GetName() != "pvc-1" {
		t.Fatalf("the requests are %v, want a delete", client.Actions())
	}
	uid := types.UID("uid-1")
	want := metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}}
	if diff := cmp.Diff(want, deletion.GetDeleteOptions()); diff != "" {
		t.Errorf("the options (-want +got):\n%s", diff)
	}
	if err := NewVolumes(client, nil).Delete(t.Context(), "pvc-1", "uid-1"); err != nil {
		t.Errorf("Delete of what is gone: %v", err)
	}
}

func TestDeleteFails(t *testing.T) {
	conflict := apierrors.NewConflict(resource("persistentvolumes"), "pvc-1", fmt.Errorf("the UID in the precondition is another"))
	client := fake.NewClientset(owned("1", "h"))
	failing(client, "delete", "persistentvolumes", conflict)
	err := NewVolumes(client, nil).Delete(t.Context(), "pvc-1", "uid-1")
	if !apierrors.IsConflict(err) || !strings.Contains(err.Error(), `deleting PersistentVolume "pvc-1"`) {
		t.Errorf("Delete: error %v, want a conflict that says of what", err)
	}
}

// TestStoreInABurst: of many volumes, some are stored at one time; who waits for a turn
// does not wait beyond the context.
func TestStoreInABurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, release := fake.NewClientset(), make(chan struct{})
		var storing atomic.Int64
		client.PrependReactor("create", "persistentvolumes", func(clienttesting.Action) (bool, runtime.Object, error) {
			storing.Add(1)
			<-release
			return false, nil, nil
		})
		volumes := NewVolumes(client, nil)
		for range maxStoring {
			volumes.storing <- struct{}{}
		}
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error, 1)
		go func() { failed <- volumes.Store(ctx, owned("1", "h")) }()
		synctest.Wait()
		cancel()
		if err := <-failed; !errors.Is(err, context.Canceled) || storing.Load() != 0 {
			t.Errorf("waiting for a turn: %v, %d are stored", err, storing.Load())
		}
		go func() { failed <- volumes.Store(t.Context(), owned("1", "h")) }()
		synctest.Wait()
		<-volumes.storing // another one has been stored
		synctest.Wait()
		if storing.Load() != 1 {
			t.Error("its turn has come, and it is not stored")
		}
		close(release)
		if err := <-failed; err != nil || len(volumes.storing) != maxStoring-1 {
			t.Errorf("%v, and %d turns are taken", err, len(volumes.storing))
		}
	})
}

// TestStoreBriefly: a volume is stored without its being sent back.
func TestStoreBriefly(t *testing.T) {
	seen := &headers{}
	server := httptest.NewServer(seen)
	defer server.Close()
	clients, err := NewClients(&rest.Config{Host: server.URL}, Limits{}, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	volumes := NewVolumes(clients.Core, nil).Briefly(clients.Core.CoreV1().RESTClient())
	_ = volumes.Store(t.Context(), owned("1", "h"))
	if len(seen.all) != 1 || !strings.HasPrefix(seen.all[0].Get("Accept"), "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata") {
		t.Errorf("the server got %v, want one request that asks for metadata", seen.all)
	}
	if content := seen.all[0].Get("Content-Type"); content != "application/vnd.kubernetes.protobuf" {
		t.Errorf("the PersistentVolume is sent as %q", content)
	}
}
