package capacity_test

import (
	"slices"
	"testing"
	"time"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/capacity"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/topology"
)

func namesOf(objects []*storagev1.CSIStorageCapacity) []string {
	var all []string
	for _, o := range objects {
		all = append(all, o.Name)
	}
	return all
}

func TestDecide(t *testing.T) {
	day := 24 * time.Hour
	type want struct {
		ask    bool
		keep   string
		remove []string
	}
	of := func(objects ...*storagev1.CSIStorageCapacity) []*storagev1.CSIStorageCapacity { return objects }
	for name, test := range map[string]struct {
		change  func(*capacity.Input)
		objects []*storagev1.CSIStorageCapacity
		want    want
	}{
		"nothing there":                 {nil, nil, want{ask: true}},
		"there, not due":                {nil, of(object("x", 0)), want{keep: "x"}},
		"there, due":                    {func(in *capacity.Input) { in.Due = true }, of(object("x", 0)), want{ask: true, keep: "x"}},
		"the oldest of three stays":     {nil, of(object("b", 0), object("a", day), object("c", time.Hour)), want{keep: "a", remove: []string{"c", "b"}}},
		"of the same age, by name":      {nil, of(object("b", 0), object("a", 0)), want{keep: "a", remove: []string{"b"}}},
		"due, with duplicates":          {func(in *capacity.Input) { in.Due = true }, of(object("b", 0), object("a", day)), want{ask: true, keep: "a", remove: []string{"b"}}},
		"of another manager":            {nil, of(object("x", 0, foreign)), want{ask: true}},
		"of another driver":             {nil, of(object("x", 0, otherDriver)), want{ask: true}},
		"others' objects stay":          {func(in *capacity.Input) { in.Exists = false }, of(object("x", 0, foreign), object("y", 0, otherDriver), object("z", 0)), want{remove: []string{"z"}}},
		"on its way out":                {nil, of(object("x", 0, ending)), want{}},
		"on its way out, due":           {func(in *capacity.Input) { in.Due = true }, of(object("x", 0, ending)), want{}},
		"on its way out, and another":   {func(in *capacity.Input) { in.Due = true }, of(object("x", 0, ending), object("y", 0)), want{ask: true, keep: "y"}},
		"obsolete and on its way out":   {func(in *capacity.Input) { in.Class = nil }, of(object("x", 0, ending)), want{}},
		"the class has gone":            {func(in *capacity.Input) { in.Class = nil }, of(object("x", 0), object("y", 0)), want{remove: []string{"x", "y"}}},
		"the segment has gone":          {func(in *capacity.Input) { in.Exists = false; in.Due = true }, of(object("x", 0)), want{remove: []string{"x"}}},
		"another driver's class":        {func(in *capacity.Input) { in.Class.Provisioner = "other.csi.example" }, of(object("x", 0)), want{remove: []string{"x"}}},
		"binds at once":                 {func(in *capacity.Input) { bindsAtOnce(in.Class) }, of(object("x", 0)), want{remove: []string{"x"}}},
		"binds at once, and is wanted":  {func(in *capacity.Input) { bindsAtOnce(in.Class); in.Immediate = true }, nil, want{ask: true}},
		"binds late, and is wanted":     {func(in *capacity.Input) { in.Immediate = true }, nil, want{ask: true}},
		"does not say how it binds":     {func(in *capacity.Input) { in.Class.VolumeBindingMode = nil }, nil, want{ask: true}},
		"there is neither and no wish":  {func(in *capacity.Input) { in.Class, in.Exists = nil, false }, nil, want{}},
		"wanted by the flag, not there": {func(in *capacity.Input) { in.Immediate, in.Class = true, nil }, nil, want{}},
	} {
		t.Run(name, func(t *testing.T) {
			in := capacity.Input{Settings: settings(), Class: class(), Segment: zone("a"), Exists: true, Objects: test.objects}
			if test.change != nil {
				test.change(&in)
			}
			order := slices.Clone(in.Objects)
			d := capacity.Decide(in)
			got := want{ask: d.Request != nil, remove: namesOf(d.Delete)}
			if d.Keep != nil {
				got.keep = d.Keep.Name
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(want{})); diff != "" {
				t.Errorf("the decision (-want +got):\n%s", diff)
			}
			if !slices.Equal(order, in.Objects) {
				t.Error("the input was changed")
			}
		})
	}
}

// TestRequest: the driver is asked with what CreateVolume would get.
func TestRequest(t *testing.T) {
	segment := topology.NewTerm(map[string]string{"zone": "a", "rack": "7"})
	for name, test := range map[string]struct {
		change func(*capacity.Input)
		want   *csipb.GetCapacityRequest
	}{
		"a segment": {nil, &csipb.GetCapacityRequest{
			Parameters:         map[string]string{"tier": "gold"},
			AccessibleTopology: &csipb.Topology{Segments: map[string]string{"zone": "a", "rack": "7"}},
		}},
		"a driver without topology": {func(in *capacity.Input) { in.Topology, in.Segment = false, nil }, &csipb.GetCapacityRequest{
			Parameters: map[string]string{"tier": "gold"},
		}},
		"topology without keys": {func(in *capacity.Input) { in.Segment = nil }, &csipb.GetCapacityRequest{
			Parameters: map[string]string{"tier": "gold"}, AccessibleTopology: &csipb.Topology{},
		}},
		"parameters of the sidecars": {func(in *capacity.Input) {
			in.Class.Parameters = map[string]string{
				"tier": "gold", "fstype": "xfs", "csi.storage.k8s.io/fstype": "ext4", "csi.storage.k8s.io/unknown": "x",
				"csi.storage.k8s.io/provisioner-secret-name": "n", "csiProvisionerSecretName": "n",
			}
		}, &csipb.GetCapacityRequest{
			Parameters:         map[string]string{"tier": "gold", "fstype": "xfs", "csiProvisionerSecretName": "n"},
			AccessibleTopology: &csipb.Topology{Segments: map[string]string{"zone": "a", "rack": "7"}},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			in := capacity.Input{Settings: settings(), Class: class(), Segment: segment, Exists: true}
			if test.change != nil {
				test.change(&in)
			}
			if diff := cmp.Diff(test.want, capacity.Decide(in).Request, protocmp.Transform()); diff != "" {
				t.Errorf("the request (-want +got):\n%s", diff)
			}
		})
	}
}

func TestKeyOf(t *testing.T) {
	for name, test := range map[string]struct {
		selector *metav1.LabelSelector
		want     string
	}{
		"a segment":         {&metav1.LabelSelector{MatchLabels: map[string]string{"zone": "a", "rack": "7"}}, "fast/rack=7,zone=a"},
		"the cluster":       {&metav1.LabelSelector{}, "fast/"},
		"nowhere":           {nil, "fast/nowhere"},
		"other expressions": {&metav1.LabelSelector{MatchLabels: map[string]string{"zone": "a"}, MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "x", Operator: metav1.LabelSelectorOpExists}}}, "fast/nowhere"},
	} {
		t.Run(name, func(t *testing.T) {
			got := capacity.KeyOf(object("x", 0, func(o *storagev1.CSIStorageCapacity) { o.NodeTopology = test.selector }))
			if got.String() != test.want {
				t.Errorf("KeyOf = %q, want %q", got, test.want)
			}
		})
	}
}

// TestManagedBy has the values that external-provisioner gives objects: those that
// it has made must be found.
func TestManagedBy(t *testing.T) {
	for node, want := range map[string]string{
		"":                  "external-provisioner",
		"node":              "external-provisioner-node",
		"node" + repeat(38): "external-provisioner-node" + repeat(38),
		"node" + repeat(39): "external-p-53f40b57-node" + repeat(39),
		"node" + repeat(49): "external-provisioner-a3607ff1",
		"node" + repeat(63): "external-provisioner-df38e37f",
		"node" + repeat(48): "e-53f40b57-node" + repeat(48),
	} {
		got := capacity.ManagedBy(node)
		if len(got) > 63 {
			t.Errorf("ManagedBy(%q) is %d bytes long", node, len(got))
		}
		if got != want {
			t.Errorf("ManagedBy(%q) = %q, want %q", node, got, want)
		}
	}
}

func repeat(n int) string { return string(slices.Repeat([]byte("a"), n)) }
