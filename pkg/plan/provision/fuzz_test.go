package provision_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/source"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/topology"
)

func quantity(t testing.TB, text string) resource.Quantity {
	t.Helper()
	q, err := resource.ParseQuantity(text)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// FuzzDecide decides about claims and classes whose texts anybody may have
// written. The bits of flags say what they have: see hostile.
func FuzzDecide(f *testing.F) {
	const annotation = "${pvc.annotations['key']}"
	for _, seed := range []struct {
		flags                               uint16
		annotation, parameter, value, other string
		size                                string
	}{
		{0, "", "", "", "", ""},
		{0xffff, "value", "type", "fast", "fast", "1Gi"},
		{1, "value", "csi.storage.k8s.io/provisioner-secret-name", annotation, "fast", "1Gi"},
		{1, "${pvc.namespace}", "csi.storage.k8s.io/secret-name", annotation, "fast", "1Gi"},
		{1, "../", "csi.storage.k8s.io/secret-name", annotation, "fast", "1Gi"},
		{1, strings.Repeat("a", 256<<10), "csi.storage.k8s.io/secret-name", annotation, "fast", "1Gi"},
		{1, "x", "csi.storage.k8s.io/pvc/name", "mine", "fast", "1Gi"},
		{1, "x", "csi.storage.k8s.io/" + strings.Repeat("a", 256<<10), "mine", "fast", "1Gi"},
		{1, "x", "csi.storage.k8s.io/fstype", "xfs", "FsType", "1Gi"},
		{1, "x", "FSTYPE", "xfs", "fstype", "1Gi"},
		{1 | 2, "x", "type", "fast", strings.Repeat("a", 256<<10), "1Gi"},
		{1 | 4 | 8 | 16, "x", "zone", "a", strings.Repeat("a", 256<<10), "1Gi"},
		{1 | 4 | 8 | 32, "x", "zone", "a", "n", "1Gi"},
		{1 | 4 | 64, "x", "zone", "a", "n", "1Gi"},
		{1 | 128, "x", "type", "fast", strings.Repeat("K", 256<<10), "1Gi"},
		{1 | 256, "x", "type", "fast", strings.Repeat("M", 256<<10), "1Gi"},
		{1 | 512, "x", "type", "fast", strings.Repeat("V", 256<<10), "1Gi"},
		{1 | 1024, "x", "type", "fast", "other", "99999999999999999999999"},
		{1 | 2048, "x", "type", "fast", "other", "-1"},
		{1, "x", "\x00\xff", "\xff", "\n", "1e400"},
		{4096 | 8192, strings.Repeat("g", 256<<10), strings.Repeat("n", 256<<10), strings.Repeat("s", 256<<10), strings.Repeat("K", 256<<10), "1Gi"},
		{4096 | 8192, strings.Repeat("g", 256<<10), strings.Repeat("n", 256<<10), "team-a", strings.Repeat("K", 256<<10), "1Gi"},
		{4096, "", "n", strings.Repeat("s", 256<<10), "PersistentVolumeClaim", "1Gi"},
		{16384, "snapshot.storage.k8s.io", strings.Repeat("n", 256<<10), strings.Repeat("v", 256<<10), "VolumeSnapshot", "2Gi"},
		{16384 | 512, "snapshot.storage.k8s.io", "n", "true", "VolumeSnapshot", "2Gi"},
		{16384, "snapshot.storage.k8s.io", "n", strings.Repeat("v", 256<<10), "VolumeSnapshot", "1Ki"},
		{16384, "", strings.Repeat("n", 256<<10), strings.Repeat("v", 256<<10), "PersistentVolumeClaim", "2Gi"},
	} {
		f.Add(seed.flags, seed.annotation, seed.parameter, seed.value, seed.other, seed.size)
	}
	f.Fuzz(func(t *testing.T, flags uint16, annotation, parameter, value, other, size string) {
		in := hostile(flags, annotation, parameter, value, other, size)
		decision := provision.Decide(in)
		checkShape(t, decision)
		if decision.Plan != nil {
			checkPlan(t, in, decision.Plan)
		}
		if diff := cmp.Diff(decision, provision.Decide(in), protocmp.Transform(), errorsByText()); diff != "" {
			t.Errorf("decided otherwise the second time (-want +got):\n%s", diff)
		}
	})
}

func hostile(flags uint16, annotation, parameter, value, other, size string) provision.Input {
	in := wanting()
	has := func(bit uint16) bool { return flags&bit != 0 }
	in.Claim.Annotations["key"] = annotation
	in.Class.Parameters = map[string]string{
		parameter: value, other: value, "csi.storage.k8s.io/secret-namespace": "storage",
		"csi.storage.k8s.io/secret-name": "secret",
	}
	in.Class.Parameters[parameter] = value
	in.Options.ExtraCreateMetadata = has(1)
	if has(2) {
		in.Claim.Annotations[classBeta], in.Class = other, nil
	}
	in.Options.Topology, in.Driver.Capabilities.Topology = has(4), has(4)
	if has(8) {
		in.Claim.Annotations[selectedNode] = other
	}
	in.Options.StrictTopology, in.Options.ImmediateTopology = has(16), has(64)
	if has(32) && in.Class != nil {
		in.Class.AllowedTopologies = []corev1.TopologySelectorTerm{{MatchLabelExpressions: []corev1.TopologySelectorLabelRequirement{
			{Key: parameter, Values: []string{value, other}}, {Key: other, Values: []string{value, other}},
		}}}
	}
	if has(128) {
		in.Claim.Spec.DataSource = &corev1.TypedLocalObjectReference{APIGroup: &annotation, Kind: other, Name: parameter}
	}
	if has(4096) {
		in.Claim.Spec.DataSource = nil
		in.Claim.Spec.DataSourceRef = &corev1.TypedObjectReference{APIGroup: &annotation, Kind: other, Name: parameter, Namespace: &value}
		in.Options.CrossNamespaceVolumeDataSource = has(8192)
	}
	if has(16384) {
		hostileSource(&in, annotation, parameter, value, other, size)
	}
	if has(256) {
		in.Claim.Spec.AccessModes = append(in.Claim.Spec.AccessModes, corev1.PersistentVolumeAccessMode(other))
	}
	if has(512) {
		in.Claim.Spec.VolumeAttributesClassName = &other
	}
	if has(1024) {
		mode := corev1.PersistentVolumeMode(other)
		in.Claim.Spec.VolumeMode = &mode
	}
	if has(2048) {
		mode := storagev1.VolumeBindingMode(other)
		in.Claim.UID, in.Options.VolumeNameUUIDLength = types.UID(other), len(value)
		if in.Class != nil {
			in.Class.VolumeBindingMode = &mode
		}
	}
	if requested, err := resource.ParseQuantity(size); err == nil {
		in.Claim.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: requested}
	}
	index := topology.NewIndex()
	index.SetNode("n", map[string]string{parameter: value, "zone": "b"})
	index.SetRegistration("n", []string{parameter})
	in.Facts = index.Facts(provision.SelectedNode(in.Claim))
	return in
}

// checkPlan checks what must hold for every plan.
func checkPlan(t *testing.T, in provision.Input, plan *provision.Plan) {
	t.Helper()
	metadata := map[string]string{
		"csi.storage.k8s.io/pvc/name":      in.Claim.Name,
		"csi.storage.k8s.io/pvc/namespace": in.Claim.Namespace,
		"csi.storage.k8s.io/pv/name":       plan.Request.GetName(),
	}
	found := 0
	for key, got := range plan.Request.GetParameters() {
		if !strings.HasPrefix(key, "csi.storage.k8s.io/") {
			continue
		}
		if want, ok := metadata[key]; !ok || got != want || !in.Options.ExtraCreateMetadata {
			t.Errorf("the driver gets %q = %q", key, got)
		}
		found++
	}
	if in.Options.ExtraCreateMetadata && found != len(metadata) {
		t.Errorf("the driver gets %d of the metadata", found)
	}
	if len(plan.Request.GetSecrets()) > 0 {
		t.Error("the request holds secrets")
	}
	requested := in.Claim.Spec.Resources.Requests[corev1.ResourceStorage]
	if requested.CmpInt64(plan.Request.GetCapacityRange().GetRequiredBytes()) > 0 {
		t.Errorf("%d bytes are requested of the driver for %s", plan.Request.GetCapacityRange().GetRequiredBytes(), requested.String())
	}
	if got := len(plan.Request.GetVolumeCapabilities()); got != len(in.Claim.Spec.AccessModes) {
		t.Errorf("%d capabilities for %d access modes", got, len(in.Claim.Spec.AccessModes))
	}
	if (plan.Source == nil) != (plan.Request.GetVolumeContentSource() == nil) {
		t.Errorf("the source is %v, where the driver gets %v", plan.Source, plan.Request.GetVolumeContentSource())
	}
	if plan.Volume.Name != plan.Request.GetName() || plan.Volume.Spec.ClaimRef.UID != in.Claim.UID || plan.Volume.Spec.CSI.Driver != in.Driver.Name {
		t.Errorf("the volume %q is for claim %s", plan.Volume.Name, plan.Volume.Spec.ClaimRef.UID)
	}
}

// hostileSource makes the claim's source one of the two kinds, in a state that only
// the texts tell.
func hostileSource(in *provision.Input, annotation, parameter, value, kind, size string) {
	if kind != source.KindSnapshot {
		kind = source.KindClaim
	}
	in.Claim.Spec.DataSourceRef = nil
	in.Claim.Spec.DataSource = &corev1.TypedLocalObjectReference{APIGroup: &annotation, Kind: kind, Name: parameter}
	in.Options.PreventVolumeModeConversion = true
	in.Driver.Capabilities.Snapshot, in.Driver.Capabilities.Clone = true, true
	good := restoring()
	in.Source = good.Source
	in.Source.Claim, in.Source.Volume = cloning().Source.Claim, cloning().Source.Volume
	in.Source.Snapshot.Name, in.Source.Content.Spec.Snapshot.Name = parameter, parameter
	in.Source.Content.Annotations = map[string]string{allowModeChange: value}
	in.Source.Content.Spec.Mode = (*corev1.PersistentVolumeMode)(&value)
	in.Source.Content.Status.Handle = &value
	in.Source.Claim.Spec.VolumeMode = (*corev1.PersistentVolumeMode)(&value)
	if least, err := resource.ParseQuantity(size); err == nil {
		in.Source.Snapshot.Status.RestoreSize = &least
	}
}
