package kube

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
)

// scheduled is a claim with annotations.
func scheduled(uid types.UID, annotations map[string]string) *corev1.PersistentVolumeClaim {
	c := claim(metav1.ObjectMeta{Namespace: "ns", Name: "claim", UID: uid, ResourceVersion: "7", Annotations: annotations})
	c.Spec.VolumeName = ""
	return c
}

func TestReschedule(t *testing.T) {
	on := func(node string) map[string]string {
		return map[string]string{names.SelectedNode: node, names.SelectedNodeAlpha: node, "note": "kept"}
	}
	kept := map[string]string{"note": "kept"}
	cases := map[string]struct {
		claim, current *corev1.PersistentVolumeClaim
		want           map[string]string // annotations; nil for no update
	}{
		"from its node":       {scheduled("1", on("n1")), scheduled("1", on("n1")), kept},
		"already on another":  {scheduled("1", on("n1")), scheduled("1", on("n2")), nil},
		"already without one": {scheduled("1", on("n1")), scheduled("1", kept), nil},
		"replaced":            {scheduled("1", on("n1")), scheduled("2", on("n1")), nil},
		"the older annotation": {
			scheduled("1", map[string]string{names.SelectedNodeAlpha: "n1"}),
			scheduled("1", map[string]string{names.SelectedNodeAlpha: "n1", "note": "kept"}), kept,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			// What else has changed meanwhile must stay.
			c.current.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany}
			client := fake.NewClientset(c.current)
			untouched := c.claim.DeepCopy()
			if err := NewClaims(client).Reschedule(t.Context(), c.claim); err != nil {
				t.Fatalf("Reschedule: %v", err)
			}
			if diff := cmp.Diff(untouched, c.claim); diff != "" {
				t.Errorf("the argument was changed (-want +got):\n%s", diff)
			}
			var update *corev1.PersistentVolumeClaim
			for _, action := range client.Actions() {
				switch {
				case action.Matches("update", "persistentvolumeclaims"):
					update = action.(clienttesting.UpdateAction).GetObject().(*corev1.PersistentVolumeClaim)
				case !action.Matches("get", "persistentvolumeclaims"):
					t.Errorf("there is a request that the role does not allow: %v", action)
				}
			}
			if (update != nil) != (c.want != nil) {
				t.Fatalf("the claim was updated to %v, want annotations %v", update, c.want)
			}
			if update == nil {
				return
			}
			want := c.current.DeepCopy()
			want.Annotations = c.want
			if diff := cmp.Diff(want, update); diff != "" {
				t.Errorf("the update (-want +got):\n%s", diff)
			}
			if update.ResourceVersion == "" {
				t.Error("the update has no resourceVersion: it would undo what others do at the same time")
			}
		})
	}
}

func TestRescheduleFails(t *testing.T) {
	node := map[string]string{names.SelectedNode: "n1"}
	t.Run("reading", func(t *testing.T) {
		err := NewClaims(fake.NewClientset()).Reschedule(t.Context(), scheduled("1", node))
		if !apierrors.IsNotFound(err) || !strings.Contains(err.Error(), "reading claim ns/claim to reschedule it") {
			t.Errorf("Reschedule: %v", err)
		}
	})
	t.Run("writing", func(t *testing.T) {
		client := fake.NewClientset(scheduled("1", node))
		failing(client, "update", "persistentvolumeclaims", apierrors.NewConflict(resource("persistentvolumeclaims"), "claim", errors.New("changed")))
		err := NewClaims(client).Reschedule(t.Context(), scheduled("1", node))
		if !apierrors.IsConflict(err) || !strings.Contains(err.Error(), "removing annotation "+names.SelectedNode+" from claim ns/claim") {
			t.Errorf("Reschedule: %v", err)
		}
	})
}
