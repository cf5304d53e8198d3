package modify_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/capability"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/modify"
)

const (
	driver    = "block.csi.example"
	modifying = corev1.PersistentVolumeClaimVolumeModifyingVolume
	failing   = corev1.PersistentVolumeClaimVolumeModifyVolumeError
)

// early is when what a case begins with was written, late is when it is decided
// about.
func early() metav1.Time { return metav1.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC) }
func late() metav1.Time  { return metav1.Date(2026, 1, 2, 4, 0, 0, 0, time.UTC) }

// situation is an input in the making: a claim that is bound to a volume of the
// driver and has no class, and nothing to do.
func situation() modify.Input {
	return modify.Input{
		Claim: &corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "data", UID: "uid-1", ResourceVersion: "7"},
			Spec:       corev1.PersistentVolumeClaimSpec{VolumeName: "pv-1"},
			Status: corev1.PersistentVolumeClaimStatus{
				Phase: corev1.ClaimBound,
				Conditions: []corev1.PersistentVolumeClaimCondition{
					{Type: corev1.PersistentVolumeClaimResizing, Status: corev1.ConditionTrue, LastTransitionTime: early()},
				},
			},
		},
		Volume: &corev1.PersistentVolume{
			ObjectMeta: metav1.ObjectMeta{Name: "pv-1"},
			Spec: corev1.PersistentVolumeSpec{
				ClaimRef: &corev1.ObjectReference{Namespace: "shop", Name: "data", UID: "uid-1"},
				PersistentVolumeSource: corev1.PersistentVolumeSource{
					CSI: &corev1.CSIPersistentVolumeSource{Driver: driver, VolumeHandle: "vol-1"},
				},
			},
		},
		Driver:       driver,
		Capabilities: capability.Set{Modify: true},
		Now:          late(),
	}
}

func class(name string) *storagev1.VolumeAttributesClass {
	return &storagev1.VolumeAttributesClass{
		ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: early()},
		DriverName: driver,
		Parameters: map[string]string{"tier": name},
	}
}

// with sets a fact about a situation. Facts are words of a case in testdata.
func with(t testing.TB, in *modify.Input, fact string) {
	t.Helper()
	key, value, _ := strings.Cut(fact, "=")
	status := &in.Claim.Status
	switch key {
	case "spec":
		in.Claim.Spec.VolumeAttributesClassName = &value
	case "cur":
		status.CurrentVolumeAttributesClassName = &value
	case "Pending", "InProgress", "Infeasible", "Paused":
		status.ModifyVolumeStatus = &corev1.ModifyVolumeStatus{
			Status: corev1.PersistentVolumeClaimModifyVolumeStatus(key), TargetVolumeAttributesClassName: value,
		}
	case "modifying":
		status.Conditions = append(status.Conditions, condition(modifying, value, early()))
	case "error":
		status.Conditions = append(status.Conditions, condition(failing, value, early()))
	case "rested":
		in.Rested = true
	case "deleted":
		in.Claim.DeletionTimestamp = ptr.To(early())
	case "phase":
		status.Phase = corev1.PersistentVolumeClaimPhase(value)
	case "incapable":
		in.Capabilities.Modify = false
	case "metadata":
		in.Options.ExtraModifyMetadata = true
	default:
		withVolume(t, in, key, value)
	}
}

func withVolume(t testing.TB, in *modify.Input, key, value string) {
	t.Helper()
	switch key {
	case "volume":
		switch value {
		case "none":
			in.Volume = nil
		case "other":
			in.Volume.Name = "pv-2"
		case "in-tree":
			in.Volume.Spec.CSI = nil
		default:
			in.Volume.Spec.CSI.Driver = value
		}
	case "ref":
		switch value {
		case "none":
			in.Volume.Spec.ClaimRef = nil
		case "uid":
			in.Volume.Spec.ClaimRef.UID = "uid-2"
		case "name":
			in.Volume.Spec.ClaimRef.Name = "other"
		case "namespace":
			in.Volume.Spec.ClaimRef.Namespace = "other"
		}
	case "secret-name":
		metav1.SetMetaDataAnnotation(&in.Volume.ObjectMeta, "volume.kubernetes.io/controller-modify-secret-name", value)
	case "secret-namespace":
		metav1.SetMetaDataAnnotation(&in.Volume.ObjectMeta, "volume.kubernetes.io/controller-modify-secret-namespace", value)
	case "expand-secret":
		namespace, name, _ := strings.Cut(value, "/")
		in.Volume.Spec.CSI.ControllerExpandSecretRef = &corev1.SecretReference{Namespace: namespace, Name: name}
	default:
		t.Fatalf("what is %q?", key)
	}
}

func condition(kind corev1.PersistentVolumeClaimConditionType, reason string, at metav1.Time) corev1.PersistentVolumeClaimCondition {
	return corev1.PersistentVolumeClaimCondition{
		Type: kind, Status: corev1.ConditionTrue, Reason: reason, Message: "as before", LastProbeTime: at, LastTransitionTime: at,
	}
}

// provide looks the class of a situation up, unless a fact says otherwise:
// class=none, class=newer, or the name of the driver that it is for.
func provide(in *modify.Input, fact string) {
	if fact == "none" {
		return
	}
	in.Class = class(modify.Target(in.Claim))
	switch fact {
	case "":
	case "newer":
		in.Class.CreationTimestamp = late()
	case "same-time":
		in.Class.CreationTimestamp = early()
	default:
		in.Class.DriverName = fact
	}
}

// show is a claim's state in the words of [with]. A star marks what was written
// at the time of the decision: one a probe, two a transition.
func show(claim *corev1.PersistentVolumeClaim, now metav1.Time) string {
	var words []string
	if status := claim.Status.ModifyVolumeStatus; status != nil {
		words = append(words, fmt.Sprintf("%s=%s", status.Status, status.TargetVolumeAttributesClassName))
	}
	for _, c := range claim.Status.Conditions {
		word := map[corev1.PersistentVolumeClaimConditionType]string{modifying: "modifying", failing: "error"}[c.Type]
		if word == "" {
			continue
		}
		if c.Reason != "" {
			word += "=" + c.Reason
		}
		if c.LastProbeTime.Equal(&now) {
			word += "*"
		}
		if c.LastTransitionTime.Equal(&now) {
			word += "*"
		}
		if c.Status != corev1.ConditionTrue {
			word += "?" + string(c.Status)
		}
		words = append(words, word)
	}
	if len(words) == 0 {
		return "nothing"
	}
	slices.Sort(words[1:])
	return strings.Join(words, " ")
}
