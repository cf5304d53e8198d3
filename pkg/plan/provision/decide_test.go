package provision_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/capability"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/topology"
)

const (
	driverName      = "driver.example"
	provisionerKey  = "volume.kubernetes.io/storage-provisioner"
	provisionerBeta = "volume.beta.kubernetes.io/storage-provisioner"
	selectedNode    = "volume.kubernetes.io/selected-node"
	selectedAlpha   = "volume.alpha.kubernetes.io/selected-node"
	classBeta       = "volume.beta.kubernetes.io/storage-class"
)

// wanting is an input whose claim is to be provisioned.
func wanting() provision.Input {
	className, immediate, policy := "fast", storagev1.VolumeBindingImmediate, corev1.PersistentVolumeReclaimDelete
	return provision.Input{
		Claim: &corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: "team-a", Name: "data", UID: "1234",
				Annotations: map[string]string{provisionerKey: driverName},
			},
			Spec: corev1.PersistentVolumeClaimSpec{
				StorageClassName: &className,
				AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			},
		},
		Class: &storagev1.StorageClass{
			ObjectMeta: metav1.ObjectMeta{Name: className}, Provisioner: driverName,
			VolumeBindingMode: &immediate, ReclaimPolicy: &policy,
		},
		Driver: provision.Driver{
			Name: driverName, Identity: "me", Capabilities: capability.Set{ControllerService: true, CreateDelete: true},
		},
		Options: provision.Options{VolumeNamePrefix: "pvc", VolumeNameUUIDLength: -1},
	}
}

func TestWhichClaimsConcernTheDriver(t *testing.T) {
	type annotations = map[string]string
	late := func(in *provision.Input) {
		mode := storagev1.VolumeBindingWaitForFirstConsumer
		in.Class.VolumeBindingMode = &mode
	}
	annotated := func(a annotations) func(*provision.Input) {
		return func(in *provision.Input) { in.Claim.Annotations = a }
	}
	for name, test := range map[string]struct {
		change func(*provision.Input)
		want   provision.Verdict
	}{
		"wanting":                  {func(*provision.Input) {}, provision.Act},
		"bound":                    {func(in *provision.Input) { in.Claim.Spec.VolumeName = "pv" }, provision.Skip},
		"volume stored":            {func(in *provision.Input) { in.VolumeStored = true }, provision.Skip},
		"volume's name taken":      {func(in *provision.Input) { in.Taken = errors.New("it is another's") }, provision.Reject},
		"being deleted":            {func(in *provision.Input) { in.Claim.DeletionTimestamp = &metav1.Time{} }, provision.Skip},
		"no annotations":           {annotated(nil), provision.Skip},
		"other driver":             {annotated(annotations{provisionerKey: "other"}), provision.Skip},
		"beta annotation":          {annotated(annotations{provisionerBeta: driverName}), provision.Act},
		"beta annotation, other":   {annotated(annotations{provisionerBeta: "other"}), provision.Skip},
		"newer annotation wins":    {annotated(annotations{provisionerKey: "other", provisionerBeta: driverName}), provision.Skip},
		"newer annotation is ours": {annotated(annotations{provisionerKey: driverName, provisionerBeta: "other"}), provision.Act},
		"class of other driver":    {func(in *provision.Input) { in.Class.Provisioner = "other" }, provision.Skip},
		"no binding mode":          {func(in *provision.Input) { in.Class.VolumeBindingMode = nil }, provision.Act},
		"late":                     {late, provision.Skip},
		"late, of other driver, class missing": {func(in *provision.Input) {
			in.Class, in.Claim.Annotations = nil, annotations{provisionerKey: "other"}
		}, provision.Skip},
		"class missing":                   {func(in *provision.Input) { in.Class = nil }, provision.Reject},
		"class missing, being deleted":    {func(in *provision.Input) { in.Class, in.Claim.DeletionTimestamp = nil, &metav1.Time{} }, provision.Skip},
		"late, node selected":             {func(in *provision.Input) { late(in); in.Claim.Annotations[selectedNode] = "n" }, provision.Act},
		"late, node selected, alpha":      {func(in *provision.Input) { late(in); in.Claim.Annotations[selectedAlpha] = "n" }, provision.Act},
		"late, node empty":                {func(in *provision.Input) { late(in); in.Claim.Annotations[selectedNode] = "" }, provision.Skip},
		"late, bad otherwise":             {func(in *provision.Input) { late(in); in.Claim.UID = "" }, provision.Skip},
		"other driver, bad otherwise":     {func(in *provision.Input) { in.Class.Provisioner, in.Claim.UID = "other", "" }, provision.Skip},
		"driver without any capabilities": {func(in *provision.Input) { in.Driver.Capabilities = capability.Set{} }, provision.Reject},
		"empty attributes class":          {func(in *provision.Input) { in.Claim.Spec.VolumeAttributesClassName = new(string) }, provision.Act},
		"data source without a name":      {func(in *provision.Input) { in.Claim.Spec.DataSource = &corev1.TypedLocalObjectReference{} }, provision.Reject},
		"data source wins over its reference": {func(in *provision.Input) {
			in.Claim.Spec.DataSource = &corev1.TypedLocalObjectReference{Kind: "Dataset", Name: "weather"}
			in.Claim.Spec.DataSourceRef = &corev1.TypedObjectReference{Kind: "PersistentVolumeClaim"}
		}, provision.Leave},
	} {
		t.Run(name, func(t *testing.T) {
			in := wanting()
			test.change(&in)
			got := provision.Decide(in)
			if got.Verdict != test.want {
				t.Errorf("verdict is %s (%v), want %s", verdicts()[got.Verdict], got.Err, verdicts()[test.want])
			}
			checkShape(t, got)
		})
	}
}

// checkShape checks that a decision has just what belongs to its verdict.
func checkShape(t testing.TB, d provision.Decision) {
	t.Helper()
	for field, test := range map[string]struct{ has, want bool }{
		"Message": {d.Message != "", d.Verdict == provision.Leave},
		"Err":     {d.Err != nil, d.Verdict == provision.Reject || d.Verdict == provision.Reschedule},
		"Plan":    {d.Plan != nil, d.Verdict == provision.Act},
		"Room":    {d.Room.Request != nil, d.Room.Bytes > 0 && d.Verdict == provision.Compete},
	} {
		if test.has != test.want {
			t.Errorf("a decision to %s has a %s: %t, want %t", verdicts()[d.Verdict], field, test.has, test.want)
		}
	}
	const limit = 4 << 10
	if d.Err != nil && len(d.Err.Error()) > limit || len(d.Message) > limit {
		t.Errorf("what is said about a %s is longer than %d bytes", verdicts()[d.Verdict], limit)
	}
}

func TestClassName(t *testing.T) {
	class := func(name string) *string { return &name }
	for name, test := range map[string]struct {
		annotations map[string]string
		spec        *string
		want        string
	}{
		"none":                   {nil, nil, ""},
		"spec":                   {nil, class("a"), "a"},
		"annotation":             {map[string]string{classBeta: "b"}, nil, "b"},
		"annotation wins":        {map[string]string{classBeta: "b"}, class("a"), "b"},
		"empty annotation wins":  {map[string]string{classBeta: ""}, class("a"), ""},
		"empty in the spec":      {nil, class(""), ""},
		"other annotations only": {map[string]string{"x": "y"}, class("a"), "a"},
	} {
		t.Run(name, func(t *testing.T) {
			claim := &corev1.PersistentVolumeClaim{}
			claim.Annotations, claim.Spec.StorageClassName = test.annotations, test.spec
			if got := provision.ClassName(claim); got != test.want {
				t.Errorf("ClassName = %q, want %q", got, test.want)
			}
		})
	}
}

func TestSelectedNode(t *testing.T) {
	for name, test := range map[string]struct {
		annotations map[string]string
		want        string
	}{
		"none":       {nil, ""},
		"node":       {map[string]string{selectedNode: "n"}, "n"},
		"alpha":      {map[string]string{selectedAlpha: "m"}, "m"},
		"newer wins": {map[string]string{selectedNode: "n", selectedAlpha: "m"}, "n"},
	} {
		t.Run(name, func(t *testing.T) {
			claim := &corev1.PersistentVolumeClaim{}
			claim.Annotations = test.annotations
			if got := provision.SelectedNode(claim); got != test.want {
				t.Errorf("SelectedNode = %q, want %q", got, test.want)
			}
		})
	}
}

func TestVolumeName(t *testing.T) {
	claim := &corev1.PersistentVolumeClaim{}
	claim.UID = "0c8f-2b5e"
	for name, test := range map[string]struct {
		prefix string
		length int
		want   string
	}{
		"the UID as it is":   {"pvc", -1, "pvc-0c8f-2b5e"},
		"without dashes":     {"pvc", 8, "pvc-0c8f2b5e"},
		"cut":                {"pvc", 5, "pvc-0c8f2"},
		"longer than it is":  {"pvc", 100, "pvc-0c8f2b5e"},
		"nothing of it":      {"pvc", 0, "pvc-"},
		"prefix with a dash": {"a-b", -1, "a-b-0c8f-2b5e"},
	} {
		t.Run(name, func(t *testing.T) {
			options := provision.Options{VolumeNamePrefix: test.prefix, VolumeNameUUIDLength: test.length}
			if got := provision.VolumeName(options, claim); got != test.want {
				t.Errorf("VolumeName = %q, want %q", got, test.want)
			}
		})
	}
}

func TestUsesTopology(t *testing.T) {
	for name, test := range map[string]struct{ option, able, want bool }{
		"both": {true, true, true}, "option": {true, false, false}, "capability": {false, true, false}, "none": {},
	} {
		t.Run(name, func(t *testing.T) {
			in := provision.Input{Options: provision.Options{Topology: test.option}}
			in.Driver.Capabilities.Topology = test.able
			if got := in.UsesTopology(); got != test.want {
				t.Errorf("UsesTopology = %t, want %t", got, test.want)
			}
		})
	}
}

// What is decided about comes from the informers' stores, which all controllers
// share.
func TestDecidingChangesNothing(t *testing.T) {
	for name, path := range cases(t) {
		t.Run(name, func(t *testing.T) {
			s := load(t, path)
			in := s.input()
			claim, class := in.Claim.DeepCopy(), in.Class.DeepCopy()
			facts := in.Facts.Cluster.Terms()
			places := append([]topology.Term{}, facts...)

			first := provision.Decide(in)
			if first.Plan != nil {
				conclusion := provision.Conclude(first.Plan, s.response(t))
				if conclusion.Volume != nil {
					spoil(conclusion.Volume)
				}
			}
			if diff := cmp.Diff(claim, in.Claim); diff != "" {
				t.Errorf("the claim has changed (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(class, in.Class); diff != "" {
				t.Errorf("the class has changed (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(places, append([]topology.Term{}, facts...)); diff != "" {
				t.Errorf("the places have changed (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(first, provision.Decide(in), protocmp.Transform(), errorsByText()); diff != "" {
				t.Errorf("decided otherwise the second time (-want +got):\n%s", diff)
			}
		})
	}
}

// spoil changes everything in a PersistentVolume that could be shared.
func spoil(volume *corev1.PersistentVolume) {
	for i := range volume.Spec.AccessModes {
		volume.Spec.AccessModes[i] = "spoilt"
	}
	for i := range volume.Spec.MountOptions {
		volume.Spec.MountOptions[i] = "spoilt"
	}
	if volume.Spec.VolumeMode != nil {
		*volume.Spec.VolumeMode = "spoilt"
	}
	volume.Annotations["spoilt"] = "spoilt"
	volume.Spec.CSI.VolumeAttributes["spoilt"] = "spoilt"
	volume.Spec.ClaimRef.Name = "spoilt"
}

func errorsByText() cmp.Option {
	return cmp.Comparer(func(a, b error) bool {
		if a == nil || b == nil {
			return a == nil && b == nil
		}
		return a.Error() == b.Error()
	})
}
