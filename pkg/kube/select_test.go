package kube

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
)

// TestSelect: with the right to patch and, as in the role of external-provisioner,
// to update only.
func TestSelect(t *testing.T) {
	forbidden := apierrors.NewForbidden(resource("persistentvolumeclaims"), "claim", errors.New("no"))
	for name, test := range map[string]struct {
		fails map[string]error // by verb
		verbs []string
		want  string // of the error
	}{
		"patched":            {nil, []string{"patch"}, ""},
		"updated":            {map[string]error{"patch": forbidden}, []string{"patch", "update"}, ""},
		"neither is allowed": {map[string]error{"patch": forbidden, "update": forbidden}, []string{"patch", "update"}, `selecting node "n1" for claim ns/claim`},
		"somebody was faster": {
			map[string]error{"patch": apierrors.NewConflict(resource("persistentvolumeclaims"), "claim", errors.New("changed"))},
			[]string{"patch"}, `selecting node "n1" for claim ns/claim`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			read := scheduled("1", map[string]string{"note": "kept"})
			client := fake.NewClientset(read.DeepCopy())
			for verb, err := range test.fails {
				failing(client, verb, "persistentvolumeclaims", err)
			}
			before := read.DeepCopy()
			err := NewClaims(client).Select(t.Context(), read, "n1")
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("Select: %v", err)
			}
			if diff := cmp.Diff(before, read); diff != "" {
				t.Errorf("the claim was changed (-want +got):\n%s", diff)
			}
			var verbs []string
			for _, action := range client.Actions() {
				verbs = append(verbs, action.GetVerb())
				switch action := action.(type) {
				case clienttesting.PatchAction:
					for _, want := range []string{`"uid":"1"`, `"resourceVersion":"7"`, `"annotations":{"volume.kubernetes.io/selected-node":"n1"}`} {
						if !strings.Contains(string(action.GetPatch()), want) {
							t.Errorf("the patch %s lacks %s", action.GetPatch(), want)
						}
					}
				case clienttesting.UpdateAction:
					if got := action.GetObject().(*corev1.PersistentVolumeClaim); got.ResourceVersion != "7" || got.Annotations["note"] != "kept" {
						t.Errorf("the update is %v", got)
					}
				}
			}
			if !slices.Equal(verbs, test.verbs) {
				t.Errorf("the requests are %q, want %q", verbs, test.verbs)
			}
			now, err := client.CoreV1().PersistentVolumeClaims("ns").Get(t.Context(), "claim", metav1.GetOptions{})
			if err != nil || (now.Annotations[names.SelectedNode] == "n1") != (test.want == "") {
				t.Errorf("the claim is %v, %v", now, err)
			}
		})
	}
}
