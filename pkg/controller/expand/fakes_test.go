package expand_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
	"github.com/csi-provisioner/csi-provisioner/pkg/secrets"
)

// The ports of a world.

func conflict(kind, name string) error {
	return fmt.Errorf("writing: %w", apierrors.NewConflict(schema.GroupResource{Resource: kind}, name, errors.New("it has changed")))
}

func missing(kind, name string) error {
	return fmt.Errorf("finding: %w", apierrors.NewNotFound(schema.GroupResource{Resource: kind}, name))
}

// patch is what the API server does about a patch, before it stores anything.
func (w *world) patch() error {
	w.patches++
	if w.atPatch == nil {
		return nil
	}
	return w.atPatch(w.patches)
}

type claimStatus struct{ w *world }

func (s claimStatus) Get(context.Context, string, string) (*corev1.PersistentVolumeClaim, error) {
	if s.w.claim == nil {
		return nil, missing("persistentvolumeclaims", "data")
	}
	return s.w.claim.DeepCopy(), nil
}

func (s claimStatus) Patch(_ context.Context, from, to *corev1.PersistentVolumeClaim) (*corev1.PersistentVolumeClaim, error) {
	if equality.Semantic.DeepEqual(from, to) {
		return from, nil
	}
	if err := s.w.patch(); err != nil {
		return nil, err
	}
	if s.w.claim == nil {
		return nil, missing("persistentvolumeclaims", "data")
	}
	if from.UID != s.w.claim.UID || from.ResourceVersion != s.w.claim.ResourceVersion {
		return nil, conflict("persistentvolumeclaims", "data")
	}
	s.w.claim = to.DeepCopy()
	s.w.claim.ResourceVersion = s.w.next()
	s.w.note("%s", describe(s.w.claim))
	written := s.w.claim.DeepCopy()
	if s.w.atStored != nil {
		s.w.atStored()
	}
	return written, nil
}

type volumeStore struct{ w *world }

func (s volumeStore) Get(context.Context, string) (*corev1.PersistentVolume, error) {
	if s.w.volume == nil {
		return nil, missing("persistentvolumes", "pvc-1")
	}
	return s.w.volume.DeepCopy(), nil
}

func (s volumeStore) Patch(_ context.Context, from, to *corev1.PersistentVolume) (*corev1.PersistentVolume, error) {
	if equality.Semantic.DeepEqual(from, to) {
		return from, nil
	}
	if err := s.w.patch(); err != nil {
		return nil, err
	}
	if s.w.volume == nil {
		return nil, missing("persistentvolumes", "pvc-1")
	}
	if from.UID != s.w.volume.UID || from.ResourceVersion != s.w.volume.ResourceVersion {
		return nil, conflict("persistentvolumes", "pvc-1")
	}
	s.w.volume = to.DeepCopy()
	s.w.volume.ResourceVersion = s.w.next()
	s.w.note("%s", describeVolume(s.w.volume))
	written := s.w.volume
	if s.w.atStored != nil {
		s.w.atStored()
	}
	if s.w.volume != nil {
		written = s.w.volume // as a webhook has changed it
	}
	return written.DeepCopy(), nil
}

type driver struct{ w *world }

func (d driver) ControllerExpandVolume(ctx context.Context, request *csipb.ControllerExpandVolumeRequest, options ...csi.Option) (*csipb.ControllerExpandVolumeResponse, error) {
	if d.w.atSlot != nil {
		d.w.atSlot()
	}
	if err := csi.Recheck(options); err != nil {
		return nil, err
	}
	d.w.note("expand %s to %s with %v", request.GetVolumeId(),
		resource.NewQuantity(request.GetCapacityRange().GetRequiredBytes(), resource.BinarySI), slices.Sorted(maps.Keys(request.GetSecrets())))
	d.w.migrated = csi.IsForMigrated(ctx)
	return d.w.expand(request)
}

type vault struct{ w *world }

func (v vault) Get(context.Context, secrets.Ref) (secrets.Credentials, error) {
	if v.w.secretErr != nil {
		return secrets.Credentials{}, v.w.secretErr
	}
	return secrets.NewCredentials(map[string][]byte{"username": []byte("admin"), "password": []byte(password)}), nil
}

func (v vault) Forget(ref secrets.Ref) { v.w.forgotten = append(v.w.forgotten, ref) }

type pods struct{ w *world }

func (p pods) Using(context.Context, *corev1.PersistentVolumeClaim) ([]string, error) {
	return p.w.using, p.w.podsErr
}

func (p pods) Follow(_ context.Context, namespace string) {
	p.w.followed = append(p.w.followed, namespace)
}

type eventSender struct{ w *world }

func (e eventSender) Normal(_ runtime.Object, reason, message string) {
	e.send("Normal", reason, message)
}

func (e eventSender) Warning(_ runtime.Object, reason, message string) {
	e.send("Warning", reason, message)
}

func (e eventSender) send(kind, reason, message string) {
	e.w.note("%s %s", kind, reason)
	e.w.messages = append(e.w.messages, message)
}

// said returns the last event's message.
func (w *world) said() string {
	if len(w.messages) == 0 {
		return ""
	}
	return w.messages[len(w.messages)-1]
}
