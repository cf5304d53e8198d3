package kube

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
)

const driverName = "driver.example"

// described is metadata of which everything is set that objects here have.
func described(annotations map[string]string) metav1.ObjectMeta {
	now := metav1.Unix(1_700_000_000, 0)
	return metav1.ObjectMeta{
		Namespace: "ns", Name: "name", UID: "uid", ResourceVersion: "7", Generation: 3,
		CreationTimestamp: now, DeletionTimestamp: &now,
		Annotations:   annotations,
		Labels:        map[string]string{"zone": "a"},
		Finalizers:    []string{"keep"},
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}},
	}
}

// identified is what is left of it where only the identity counts.
func identified() metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "ns", Name: "name", UID: "uid", ResourceVersion: "7"}
}

// unmanaged is what is left of it where all counts.
func unmanaged(annotations map[string]string) metav1.ObjectMeta {
	meta := described(annotations)
	meta.ManagedFields = nil
	return meta
}

func claim(meta metav1.ObjectMeta) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: meta,
		Spec:       corev1.PersistentVolumeClaimSpec{VolumeName: "pv", AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}},
		Status:     corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound},
	}
}

func volume(meta metav1.ObjectMeta, csiDriver string) *corev1.PersistentVolume {
	v := &corev1.PersistentVolume{
		ObjectMeta: meta,
		Spec:       corev1.PersistentVolumeSpec{StorageClassName: "fast"},
		Status:     corev1.PersistentVolumeStatus{Phase: corev1.VolumeBound},
	}
	if csiDriver != "" {
		v.Spec.CSI = &corev1.CSIPersistentVolumeSource{Driver: csiDriver, VolumeHandle: "handle"}
	}
	return v
}

func TestTrimClaim(t *testing.T) {
	foreign := claim(identified())
	foreign.DeletionTimestamp = described(nil).DeletionTimestamp
	foreign.Spec.AccessModes = nil
	of := func(key, driver string) map[string]string { return map[string]string{key: driver} }
	cases := map[string]struct {
		annotations map[string]string
		kept        bool
	}{
		"ours":           {of(names.StorageProvisioner, driverName), true},
		"ours, beta":     {of(names.StorageProvisionerBeta, driverName), true},
		"migrated to us": {of(names.MigratedTo, driverName), true},
		"another's":      {of(names.StorageProvisioner, "other.example"), false},
		// It may be bound to a volume of ours that was made by hand.
		"nobody's": {of("note", "x"), true},
		"another's, though it names us elsewhere": {
			map[string]string{names.StorageProvisioner: "other.example", "note": driverName}, false,
		},
		"another's, migrated to us": {
			map[string]string{names.StorageProvisioner: "other.example", names.MigratedTo: driverName}, true,
		},
	}
	for name, c := range cases {
		want := foreign
		if c.kept {
			want = claim(unmanaged(c.annotations))
		}
		check(t, name, trimClaim(driverName), claim(described(c.annotations)), want)
	}
}

func TestTrimVolume(t *testing.T) {
	of := func(key, driver string) map[string]string { return map[string]string{key: driver} }
	cases := map[string]struct {
		annotations map[string]string
		driver      string
		kept        bool
	}{
		"ours":                     {nil, driverName, true},
		"provisioned by us":        {of(names.ProvisionedBy, driverName), "", true},
		"migrated to us":           {of(names.MigratedTo, driverName), "", true},
		"another's":                {of(names.ProvisionedBy, "other.example"), "other.example", false},
		"of no driver":             {nil, "", false},
		"ours, by another program": {of(names.ProvisionedBy, "other.example"), driverName, true},
	}
	for name, c := range cases {
		want := &corev1.PersistentVolume{ObjectMeta: identified()}
		if c.kept {
			want = volume(unmanaged(c.annotations), c.driver)
		}
		check(t, name, trimVolume(driverName, nil), volume(described(c.annotations), c.driver), want)
	}
}

func TestTrimOthers(t *testing.T) {
	name := "pv"
	attachment := func(meta metav1.ObjectMeta) *storagev1.VolumeAttachment {
		return &storagev1.VolumeAttachment{
			ObjectMeta: meta,
			Spec: storagev1.VolumeAttachmentSpec{
				NodeName: "node", Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: &name},
			},
		}
	}
	attached := attachment(described(nil))
	attached.Spec.Attacher = "attacher.example"
	attached.Spec.Source.InlineVolumeSpec = &corev1.PersistentVolumeSpec{StorageClassName: "fast"}
	attached.Status.AttachmentMetadata = map[string]string{"device": "sda"}
	check(t, "VolumeAttachment", trimAttachment, attached, attachment(identified()))

	class := func(meta metav1.ObjectMeta) *storagev1.StorageClass {
		return &storagev1.StorageClass{ObjectMeta: meta, Provisioner: driverName, Parameters: map[string]string{"a": "b"}}
	}
	check(t, "StorageClass", trimClass, class(described(nil)), class(unmanaged(nil)))

	modification := func(meta metav1.ObjectMeta) *storagev1.VolumeAttributesClass {
		return &storagev1.VolumeAttributesClass{ObjectMeta: meta, DriverName: driverName, Parameters: map[string]string{"a": "b"}}
	}
	check(t, "VolumeAttributesClass", trimModification, modification(described(nil)), modification(unmanaged(nil)))

	node := &metav1.PartialObjectMetadata{ObjectMeta: described(map[string]string{"note": "x"})}
	labelled := &metav1.PartialObjectMetadata{ObjectMeta: identified()}
	labelled.Labels = map[string]string{"zone": "a"}
	check(t, "Node", trimNode, node, labelled)
}

func TestTrimRegistration(t *testing.T) {
	limit := int32(5)
	ours := storagev1.CSINodeDriver{
		Name: driverName, NodeID: "id", TopologyKeys: []string{"zone"},
		Allocatable: &storagev1.VolumeNodeResources{Count: &limit},
	}
	other := storagev1.CSINodeDriver{Name: "other.example", TopologyKeys: []string{"rack"}}
	node := func(meta metav1.ObjectMeta, drivers ...storagev1.CSINodeDriver) *storagev1.CSINode {
		return &storagev1.CSINode{ObjectMeta: meta, Spec: storagev1.CSINodeSpec{Drivers: drivers}}
	}
	check(t, "with us", trimRegistration(driverName), node(described(nil), other, ours),
		node(identified(), storagev1.CSINodeDriver{Name: driverName, TopologyKeys: []string{"zone"}}))
	check(t, "without us", trimRegistration(driverName), node(described(nil), other), node(identified()))
}

// What an informer could not watch comes as a tombstone; it must pass.
func TestTrimPassesWhatItDoesNotKnow(t *testing.T) {
	unknown := cache.DeletedFinalStateUnknown{Key: "ns/name"}
	for name, transform := range map[string]cache.TransformFunc{
		"claim": trimClaim(driverName), "volume": trimVolume(driverName, nil), "class": trimClass, "modification": trimModification,
		"attachment": trimAttachment, "registration": trimRegistration(driverName), "node": trimNode,
	} {
		check(t, name, transform, unknown, unknown)
	}
}

func check(t *testing.T, name string, transform cache.TransformFunc, object, want any) {
	t.Helper()
	got, err := transform(object)
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
	// Informers may transform twice what they have transformed once.
	if again, err := transform(got); err != nil || !cmp.Equal(want, again) {
		t.Errorf("%s: transformed again it changes: %v, %v", name, again, err)
	}
}
