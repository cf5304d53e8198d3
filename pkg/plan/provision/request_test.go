package provision_test

import (
	"testing"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	corev1 "k8s.io/api/core/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
	"github.com/csi-provisioner/csi-provisioner/pkg/secrets"
)

// full returns a request that has all the fields that there are, and one that is not known.
func full(t *testing.T) *csipb.CreateVolumeRequest {
	t.Helper()
	r := &csipb.CreateVolumeRequest{
		Name:                      "pvc-1",
		CapacityRange:             &csipb.CapacityRange{RequiredBytes: 1},
		VolumeCapabilities:        []*csipb.VolumeCapability{{}},
		Parameters:                map[string]string{"tier": "gold"},
		Secrets:                   map[string]string{"a": "b"},
		VolumeContentSource:       &csipb.VolumeContentSource{},
		AccessibilityRequirements: &csipb.TopologyRequirement{Requisite: []*csipb.Topology{{Segments: map[string]string{"zone": "a"}}}},
		MutableParameters:         map[string]string{"iops": "1"},
	}
	fields := r.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		if !r.ProtoReflect().Has(fields.Get(i)) {
			t.Fatalf("the CSI specification has a field %s that this test does not set", fields.Get(i).Name())
		}
	}
	r.ProtoReflect().SetUnknown(protoreflect.RawFields{0xfa, 0x3f, 0x01, 0x61}) // field 1023, a string
	return r
}

// TestRequestsAreCopiedWhole: a field that is added to the CSI specification is not lost.
func TestRequestsAreCopiedWhole(t *testing.T) {
	r := full(t)
	with, without := provision.WithSecrets(r, map[string]string{"c": "d"}), provision.WithoutTopology(r)
	want := proto.CloneOf(r)
	want.Secrets = map[string]string{"c": "d"}
	if !proto.Equal(with, want) {
		t.Errorf("with secrets: %v, want %v", with, want)
	}
	want = proto.CloneOf(r)
	want.AccessibilityRequirements = nil
	if !proto.Equal(without, want) {
		t.Errorf("without topology: %v, want %v", without, want)
	}
	if !proto.Equal(r, full(t)) {
		t.Error("the original has changed")
	}
}

// places returns a requirement of zones, the first one preferred.
func places(zones ...string) *csipb.TopologyRequirement {
	r := &csipb.TopologyRequirement{}
	for _, zone := range zones {
		r.Requisite = append(r.Requisite, &csipb.Topology{Segments: map[string]string{"zone": zone}})
	}
	r.Preferred = r.Requisite
	return r
}

func TestWhatSupersedesAPlan(t *testing.T) {
	of := func() *provision.Plan {
		return &provision.Plan{
			Request: &csipb.CreateVolumeRequest{Name: "pvc-1", Parameters: map[string]string{"tier": "gold"}, AccessibilityRequirements: places("a", "b")},
			Secret:  &secrets.Ref{Namespace: "ns", Name: "creds"},
			Volume: &corev1.PersistentVolume{Spec: corev1.PersistentVolumeSpec{
				ClaimRef: &corev1.ObjectReference{Name: "claim", ResourceVersion: "1"},
				PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{
					VolumeAttributes: map[string]string{names.ProvisionerIdentity: "me"},
				}},
			}},
		}
	}
	for name, c := range map[string]struct {
		change func(now, old *provision.Plan)
		want   bool
	}{
		"nothing":           {func(_, _ *provision.Plan) {}, false},
		"parameters":        {func(now, _ *provision.Plan) { now.Request.Parameters["tier"] = "silver" }, true},
		"secret":            {func(now, _ *provision.Plan) { now.Secret.Name = "other" }, true},
		"mount options":     {func(now, _ *provision.Plan) { now.Volume.Spec.MountOptions = []string{"ro"} }, true},
		"claim's version":   {func(now, _ *provision.Plan) { now.Volume.Spec.ClaimRef.ResourceVersion = "2" }, false},
		"another process":   {func(now, _ *provision.Plan) { now.Volume.Spec.CSI.VolumeAttributes[names.ProvisionerIdentity] = "you" }, false},
		"a place more":      {func(now, _ *provision.Plan) { now.Request.AccessibilityRequirements = places("a", "b", "c") }, false},
		"another preferred": {func(now, _ *provision.Plan) { now.Request.AccessibilityRequirements = places("b", "a") }, false},
		"one place left":    {func(now, _ *provision.Plan) { now.Request.AccessibilityRequirements = places("c", "b") }, false},
		"no place left":     {func(now, _ *provision.Plan) { now.Request.AccessibilityRequirements = places("c", "d") }, true},
		"no places now":     {func(now, _ *provision.Plan) { now.Request.AccessibilityRequirements = nil }, true},
		"no places before":  {func(_, old *provision.Plan) { old.Request.AccessibilityRequirements = nil }, true},
		"another selected node": {func(now, _ *provision.Plan) {
			now.Reschedule = true
			now.Request.AccessibilityRequirements = places("b", "a")
		}, true},
		"the same selected node": {func(now, _ *provision.Plan) {
			now.Reschedule = true
			now.Request.AccessibilityRequirements = places("a", "c")
		}, false},
		"selected, without places": {func(now, _ *provision.Plan) {
			now.Reschedule = true
			now.Request.AccessibilityRequirements = &csipb.TopologyRequirement{}
		}, true},
	} {
		now, old := of(), of()
		c.change(now, old)
		if got := now.Supersedes(old); got != c.want {
			t.Errorf("%s: Supersedes = %t, want %t", name, got, c.want)
		}
	}
}

func TestWhatIsRetained(t *testing.T) {
	for policy, want := range map[corev1.PersistentVolumeReclaimPolicy]bool{
		corev1.PersistentVolumeReclaimRetain: true, corev1.PersistentVolumeReclaimDelete: false, "": true,
	} {
		p := provision.Plan{Volume: &corev1.PersistentVolume{Spec: corev1.PersistentVolumeSpec{PersistentVolumeReclaimPolicy: policy}}}
		if got := p.Retains(); got != want {
			t.Errorf("policy %q: Retains = %t", policy, got)
		}
	}
}
