package deletion_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/capability"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/deletion"
	"github.com/csi-provisioner/csi-provisioner/pkg/secrets"
)

const (
	driverName      = "driver.example"
	provisionedBy   = "pv.kubernetes.io/provisioned-by"
	migratedTo      = "pv.kubernetes.io/migrated-to"
	secretName      = "volume.kubernetes.io/provisioner-deletion-secret-name"
	secretNamespace = "volume.kubernetes.io/provisioner-deletion-secret-namespace"
	finalizer       = "external-provisioner.volume.kubernetes.io/finalizer"
	otherFinalizer  = "kubernetes.io/pv-protection"
)

// due is an input whose volume must be deleted now, with the secret "s/secret".
func due() deletion.Input {
	return deletion.Input{
		Volume: &corev1.PersistentVolume{
			ObjectMeta: metav1.ObjectMeta{
				Name:        "pvc-1",
				Annotations: map[string]string{provisionedBy: driverName, secretName: "secret", secretNamespace: "s"},
				Finalizers:  []string{otherFinalizer, finalizer},
			},
			Spec: corev1.PersistentVolumeSpec{
				PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
				StorageClassName:              "fast",
				ClaimRef:                      &corev1.ObjectReference{Namespace: "team-a", Name: "data", UID: "1"},
				PersistentVolumeSource: corev1.PersistentVolumeSource{
					CSI: &corev1.CSIPersistentVolumeSource{Driver: driverName, VolumeHandle: "handle"},
				},
			},
			Status: corev1.PersistentVolumeStatus{Phase: corev1.VolumeReleased},
		},
		Driver:       driverName,
		Capabilities: capability.Set{ControllerService: true, CreateDelete: true, PublishUnpublish: true},
	}
}

func verdicts() map[deletion.Verdict]string {
	return map[deletion.Verdict]string{
		deletion.Skip: "Skip", deletion.AddFinalizer: "AddFinalizer", deletion.RemoveFinalizer: "RemoveFinalizer",
		deletion.Wait: "Wait", deletion.Reject: "Reject", deletion.Act: "Act",
	}
}

// decide returns the decision for a volume that is due but for a change, and
// checks that it has just what belongs to its verdict.
func decide(t *testing.T, change func(*deletion.Input)) deletion.Decision {
	t.Helper()
	in := due()
	change(&in)
	volume, class := in.Volume.DeepCopy(), in.Class.DeepCopy()
	attached := append([]string{}, in.AttachedTo...)
	got := deletion.Decide(in)
	if diff := cmp.Diff(volume, in.Volume) + cmp.Diff(class, in.Class) + cmp.Diff(attached, append([]string{}, in.AttachedTo...)); diff != "" {
		t.Errorf("the input has changed (-want +got):\n%s", diff)
	}
	if hasErr := got.Err != nil; hasErr != (got.Verdict == deletion.Reject || got.Verdict == deletion.Wait) {
		t.Errorf("a decision to %s has the error %v", verdicts()[got.Verdict], got.Err)
	}
	if got.Verdict != deletion.Act && (got.Handle != "" || got.Secret != nil) {
		t.Errorf("a decision to %s has a handle or a secret: %+v", verdicts()[got.Verdict], got)
	}
	return got
}

func checkVerdict(t *testing.T, got deletion.Decision, want deletion.Verdict) {
	t.Helper()
	if got.Verdict != want {
		t.Errorf("verdict is %s (%v), want %s", verdicts()[got.Verdict], got.Err, verdicts()[want])
	}
}

func TestAct(t *testing.T) {
	got := decide(t, func(*deletion.Input) {})
	want := deletion.Decision{Verdict: deletion.Act, Handle: "handle", Secret: &secrets.Ref{Namespace: "s", Name: "secret"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("decision (-want +got):\n%s", diff)
	}
}

// Whatever else holds for it, a volume of somebody else is never touched.
func TestWhoseVolumeItIs(t *testing.T) {
	for name, test := range map[string]struct {
		source      corev1.PersistentVolumeSource
		annotations map[string]string
		want        bool
	}{
		"ours":                           {csi(driverName), map[string]string{provisionedBy: driverName}, true},
		"made by hand":                   {csi(driverName), nil, true},
		"made by hand, other":            {csi("other"), nil, false},
		"made by hand, says migrated":    {csi("other"), map[string]string{migratedTo: driverName}, false},
		"says it is of other":            {csi(driverName), map[string]string{provisionedBy: "other"}, false},
		"says it is of nobody":           {csi(driverName), map[string]string{provisionedBy: ""}, false},
		"of other, says it is ours":      {csi("other"), map[string]string{provisionedBy: driverName}, false},
		"of other":                       {csi("other"), map[string]string{provisionedBy: "other"}, false},
		"migrated to us":                 {csi(driverName), map[string]string{provisionedBy: "kubernetes.io/x", migratedTo: driverName}, true},
		"migrated to other":              {csi(driverName), map[string]string{provisionedBy: "kubernetes.io/x", migratedTo: "other"}, false},
		"ours, migrated to other":        {csi(driverName), map[string]string{provisionedBy: driverName, migratedTo: "other"}, true},
		"of a driver in capital letters": {csi("Driver.Example"), map[string]string{provisionedBy: driverName}, false},
		"in-tree":                        {hostPath(), map[string]string{provisionedBy: driverName}, false},
		"in-tree, migrated":              {hostPath(), map[string]string{provisionedBy: "kubernetes.io/x", migratedTo: driverName}, false},
		"no source":                      {corev1.PersistentVolumeSource{}, map[string]string{provisionedBy: driverName}, false},
	} {
		t.Run(name, func(t *testing.T) {
			volume := due().Volume
			volume.Spec.PersistentVolumeSource, volume.Annotations = test.source, test.annotations
			if got := deletion.Concerns(volume, driverName, ""); got != test.want {
				t.Errorf("Concerns = %t", got)
			}
			for state, change := range map[string]struct {
				change func(*corev1.PersistentVolume)
				ours   deletion.Verdict
			}{
				"due":               {func(*corev1.PersistentVolume) {}, deletion.Act},
				"without finalizer": {func(v *corev1.PersistentVolume) { v.Finalizers, v.Status.Phase = nil, corev1.VolumeBound }, deletion.AddFinalizer},
				"retained": {func(v *corev1.PersistentVolume) {
					v.Spec.PersistentVolumeReclaimPolicy = corev1.PersistentVolumeReclaimRetain
				}, deletion.RemoveFinalizer},
			} {
				want := deletion.Skip
				if test.want {
					want = change.ours
				}
				got := decide(t, func(in *deletion.Input) {
					in.Volume = volume.DeepCopy()
					change.change(in.Volume)
				})
				if got.Verdict != want {
					t.Errorf("%s: verdict is %s, want %s", state, verdicts()[got.Verdict], verdicts()[want])
				}
			}
		})
	}
}

func csi(driver string) corev1.PersistentVolumeSource {
	return corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: driver, VolumeHandle: "handle"}}
}

func hostPath() corev1.PersistentVolumeSource {
	return corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/x"}}
}

type state struct {
	policy            corev1.PersistentVolumeReclaimPolicy
	has, beingDeleted bool
	phase             corev1.PersistentVolumePhase
}

func (s state) apply(volume *corev1.PersistentVolume) {
	volume.Spec.PersistentVolumeReclaimPolicy, volume.Status.Phase = s.policy, s.phase
	if !s.has {
		volume.Finalizers = []string{otherFinalizer}
	}
	if s.beingDeleted {
		volume.DeletionTimestamp = &metav1.Time{}
	}
}

// TestStates goes over every state that a volume of this driver can be in.
func TestStates(t *testing.T) {
	// In all other states there is nothing to do.
	const (
		remove, recycle, retain = corev1.PersistentVolumeReclaimDelete, corev1.PersistentVolumeReclaimRecycle, corev1.PersistentVolumeReclaimRetain
		bound, released         = corev1.VolumeBound, corev1.VolumeReleased
	)
	phases := []corev1.PersistentVolumePhase{corev1.VolumePending, corev1.VolumeAvailable, bound, released, corev1.VolumeFailed, ""}
	busy := map[state]deletion.Verdict{
		{remove, false, false, bound}:    deletion.AddFinalizer,
		{remove, false, false, released}: deletion.Act, // Too late for a finalizer, but not for the volume.
		{remove, true, false, released}:  deletion.Act,
		{remove, true, true, released}:   deletion.Act,
	}
	for _, policy := range []corev1.PersistentVolumeReclaimPolicy{retain, recycle, ""} {
		for _, beingDeleted := range []bool{false, true} {
			for _, phase := range phases {
				busy[state{policy, true, beingDeleted, phase}] = deletion.RemoveFinalizer
			}
		}
	}
	for _, policy := range []corev1.PersistentVolumeReclaimPolicy{remove, recycle, retain, ""} {
		for _, has := range []bool{false, true} {
			for _, beingDeleted := range []bool{false, true} {
				for _, phase := range phases {
					s := state{policy, has, beingDeleted, phase}
					got := decide(t, func(in *deletion.Input) { s.apply(in.Volume) })
					if want := busy[s]; got.Verdict != want {
						t.Errorf("%+v: verdict is %s, want %s", s, verdicts()[got.Verdict], verdicts()[want])
					}
				}
			}
		}
	}
}

func TestHasFinalizer(t *testing.T) {
	for name, test := range map[string]struct {
		finalizers []string
		want       bool
	}{
		"none": {nil, false}, "other": {[]string{otherFinalizer}, false},
		"ours": {[]string{finalizer}, true}, "both": {[]string{otherFinalizer, finalizer}, true},
	} {
		t.Run(name, func(t *testing.T) {
			volume := &corev1.PersistentVolume{}
			volume.Finalizers = test.finalizers
			if got := deletion.HasFinalizer(volume); got != test.want {
				t.Errorf("HasFinalizer = %t", got)
			}
		})
	}
}

func TestCapabilities(t *testing.T) {
	for name, test := range map[string]struct {
		set  capability.Set
		want string
	}{
		"none":         {capability.Set{}, "plugin capability CONTROLLER_SERVICE"},
		"service only": {capability.Set{ControllerService: true}, "controller capability CREATE_DELETE_VOLUME"},
		"create only":  {capability.Set{CreateDelete: true}, "plugin capability CONTROLLER_SERVICE"},
	} {
		t.Run(name, func(t *testing.T) {
			got := decide(t, func(in *deletion.Input) {
				in.Capabilities, in.AttachedTo = test.set, []string{"n1"}
			})
			checkVerdict(t, got, deletion.Reject)
			want := `CSI driver "driver.example" can't delete volumes: it does not report the ` + test.want
			if diff := cmp.Diff(want, got.Err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAttached(t *testing.T) {
	for name, test := range map[string]struct {
		publish bool
		nodes   []string
		want    deletion.Verdict
		said    string
	}{
		"not":                        {true, nil, deletion.Act, ""},
		"to one node":                {true, []string{"n1"}, deletion.Wait, "still attached to node n1:"},
		"to several":                 {true, []string{"n2", "n1"}, deletion.Wait, "still attached to node n1, n2:"},
		"driver has nothing to undo": {false, []string{"n1"}, deletion.Act, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := decide(t, func(in *deletion.Input) {
				in.Capabilities.PublishUnpublish, in.AttachedTo = test.publish, test.nodes
			})
			checkVerdict(t, got, test.want)
			if test.said != "" && !strings.Contains(got.Err.Error(), `PersistentVolume "pvc-1" is `+test.said) {
				t.Errorf("error is %q, want %q in it", got.Err, test.said)
			}
		})
	}
	// Nothing to delete, nothing to wait for.
	got := decide(t, func(in *deletion.Input) {
		in.AttachedTo, in.Volume.Status.Phase = []string{"n1"}, corev1.VolumeBound
	})
	checkVerdict(t, got, deletion.Skip)
}

func TestSecret(t *testing.T) {
	type values = map[string]string
	classSecret := values{
		"csi.storage.k8s.io/provisioner-secret-name": "${pvc.name}", "csi.storage.k8s.io/provisioner-secret-namespace": "${pvc.namespace}",
	}
	for name, test := range map[string]struct {
		annotations values
		class       values // nil: there is no class
		noClaim     bool
		want        string
	}{
		"both annotations":                {values{secretName: "a", secretNamespace: "b"}, nil, false, "b/a"},
		"annotations win over the class":  {values{secretName: "a", secretNamespace: "b"}, classSecret, false, "b/a"},
		"no claim":                        {values{secretName: "a", secretNamespace: "b"}, classSecret, true, "b/a"},
		"both empty: none is needed":      {values{secretName: "", secretNamespace: ""}, classSecret, false, ""},
		"name empty":                      {values{secretName: "", secretNamespace: "b"}, classSecret, false, ""},
		"namespace empty":                 {values{secretName: "a", secretNamespace: ""}, classSecret, false, ""},
		"no annotations":                  {nil, classSecret, false, "team-a/data"},
		"name alone: the class counts":    {values{secretName: "a"}, classSecret, false, "team-a/data"},
		"namespace alone: the class":      {values{secretNamespace: "b"}, classSecret, false, "team-a/data"},
		"no annotations, class missing":   {nil, nil, false, ""},
		"half, class missing":             {values{secretName: "a"}, nil, false, ""},
		"no annotations, no claim":        {nil, classSecret, true, ""},
		"class without a secret":          {nil, values{"type": "fast"}, false, ""},
		"class with secrets of others":    {nil, values{"csi.storage.k8s.io/node-stage-secret-name": "${no}"}, false, ""},
		"default of the class":            {nil, values{"csi.storage.k8s.io/secret-name": "${pv.name}", "csi.storage.k8s.io/secret-namespace": "s"}, false, "s/pvc-1"},
		"deprecated names of the class":   {nil, values{"csiProvisionerSecretName": "old", "csiProvisionerSecretNamespace": "s"}, false, "s/old"},
		"annotation template, not needed": {values{secretName: "a", secretNamespace: "b"}, values{"csi.storage.k8s.io/provisioner-secret-name": "${pvc.annotations['x']}", "csi.storage.k8s.io/provisioner-secret-namespace": "s"}, false, "b/a"},
	} {
		t.Run(name, func(t *testing.T) {
			got := decide(t, func(in *deletion.Input) { withSecret(in, test.annotations, test.class, test.noClaim) })
			checkVerdict(t, got, deletion.Act)
			ref := ""
			if got.Secret != nil {
				ref = got.Secret.String()
			}
			if ref != test.want || got.Handle != "handle" {
				t.Errorf("secret %q for %q, want %q", ref, got.Handle, test.want)
			}
		})
	}
}

func withSecret(in *deletion.Input, annotations, class map[string]string, noClaim bool) {
	in.Volume.Annotations = annotations
	if class != nil {
		in.Class = &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "fast"}, Parameters: class}
	}
	if noClaim {
		in.Volume.Spec.ClaimRef = nil
	}
}

func TestSecretThatCannotBeFound(t *testing.T) {
	const name, namespace = "csi.storage.k8s.io/provisioner-secret-name", "csi.storage.k8s.io/provisioner-secret-namespace"
	for test, c := range map[string]struct {
		class map[string]string
		want  string
	}{
		"annotation template": {
			map[string]string{name: "${pvc.annotations['x']}", namespace: "s"},
			"the annotations of a claim are not known any more when its volume is deleted: " +
				"set the annotations " + secretName + " and " + secretNamespace + " on the PersistentVolume",
		},
		"unknown token":          {map[string]string{name: "${pvc.uid}", namespace: "s"}, `unknown token "${pvc.uid}"`},
		"name without namespace": {map[string]string{name: "a"}, `given without "` + namespace + `"`},
	} {
		t.Run(test, func(t *testing.T) {
			got := decide(t, func(in *deletion.Input) { withSecret(in, nil, c.class, false) })
			checkVerdict(t, got, deletion.Reject)
			for _, part := range []string{`PersistentVolume "pvc-1" has no annotation ` + secretName, `StorageClass "fast"`, c.want} {
				if !strings.Contains(got.Err.Error(), part) {
					t.Errorf("error is %q, want %q in it", got.Err, part)
				}
			}
		})
	}
}
