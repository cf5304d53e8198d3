package kube

import (
	"context"
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/csi-provisioner/csi-provisioner/pkg/secrets"
)

type secretReader struct{ err error }

func (s secretReader) Get(context.Context, secrets.Ref) (secrets.Credentials, error) {
	return secrets.NewCredentials(map[string][]byte{"a": []byte("b")}), s.err
}

func (secretReader) Forget(secrets.Ref) {}

func TestCredentials(t *testing.T) {
	ref := &secrets.Ref{Namespace: "ns", Name: "creds"}
	if c, err := ReadCredentials(t.Context(), secretReader{}, ref, "a call"); err != nil || c.Reveal()["a"] != "b" {
		t.Errorf("%v, %v", c, err)
	}
	if c, err := ReadCredentials(t.Context(), secretReader{errors.New("gone")}, nil, "a call"); err != nil || len(c.Reveal()) > 0 {
		t.Errorf("without a reference: %v, %v", c, err)
	}
	if c, err := ReadCredentials(t.Context(), secretReader{errors.New("gone")}, ref, "a call"); err == nil || err.Error() != "getting the secret for a call: gone" || len(c.Reveal()) > 0 {
		t.Errorf("without a Secret: %v, %v", c, err)
	}
}

func TestOnNewer(t *testing.T) {
	claim := func(uid, version string) *corev1.PersistentVolumeClaim {
		return &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{UID: types.UID(uid), ResourceVersion: version}}
	}
	conflict := apierrors.NewConflict(schema.GroupResource{}, "x", errors.New("changed"))
	for name, c := range map[string]struct {
		conflicts int
		now       *corev1.PersistentVolumeClaim
		readErr   error
		writes    int
		conflict  bool
	}{
		"at once":          {writes: 1},
		"after a conflict": {conflicts: 1, now: claim("1", "2"), writes: 2},
		"always changing":  {conflicts: 100, now: claim("1", "2"), writes: maxConflicts + 1, conflict: true},
		"replaced":         {conflicts: 1, now: claim("2", "2"), writes: 1, conflict: true},
		"unreadable":       {conflicts: 1, readErr: errors.New("away"), writes: 1},
	} {
		writes := 0
		_, err := OnNewer(claim("1", "1"), func(from *corev1.PersistentVolumeClaim) (*corev1.PersistentVolumeClaim, error) {
			if want := "1"; writes > 0 && from.ResourceVersion == want {
				t.Errorf("%s: it is not tried on the newer object", name)
			}
			if writes++; writes <= c.conflicts {
				return nil, conflict
			}
			return from, nil
		}, func() (*corev1.PersistentVolumeClaim, error) { return c.now, c.readErr })
		if writes != c.writes || apierrors.IsConflict(err) != c.conflict || errors.Is(err, c.readErr) != (c.readErr != nil || err == nil) {
			t.Errorf("%s: %d writes, %v", name, writes, err)
		}
	}
}
