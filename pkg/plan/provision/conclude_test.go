package provision_test

import (
	"strings"
	"testing"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/google/go-cmp/cmp"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
)

const identityKey = "storage.kubernetes.io/csiProvisionerIdentity"

// planned returns a plan for a volume of 1000 bytes, which may have a place.
func planned(t *testing.T, usesTopology bool) *provision.Plan {
	t.Helper()
	decision := provision.Decide(wanting())
	if decision.Plan == nil {
		t.Fatalf("no plan: %v", decision.Err)
	}
	decision.Plan.Request.CapacityRange.RequiredBytes = 1000
	decision.Plan.UsesTopology = usesTopology
	return decision.Plan
}

func answer(volume *csipb.Volume) *csipb.CreateVolumeResponse {
	return &csipb.CreateVolumeResponse{Volume: volume}
}

func TestConcludeThatSomethingIsWrong(t *testing.T) {
	verbose := map[string]string{"a": strings.Repeat("b", 1<<20)}
	const noVolume, tooSmall = "without a volume or its volume_id", "bytes where 1000 were requested"
	for name, test := range map[string]struct {
		response      *csipb.CreateVolumeResponse
		want, discard string
	}{
		"no answer":        {nil, noVolume, ""},
		"no volume":        {answer(nil), noVolume, ""},
		"empty volume":     {answer(&csipb.Volume{}), noVolume, ""},
		"no id":            {answer(&csipb.Volume{CapacityBytes: 2000, VolumeContext: map[string]string{"a": "b"}}), noVolume, ""},
		"too small":        {answer(&csipb.Volume{VolumeId: "v", CapacityBytes: 999}), "999 " + tooSmall, "v"},
		"negative":         {answer(&csipb.Volume{VolumeId: "v", CapacityBytes: -1}), "-1 " + tooSmall, "v"},
		"too much context": {answer(&csipb.Volume{VolumeId: "v", VolumeContext: verbose}), "its volume_context must be shorter", "v"},
		"too small, no id": {answer(&csipb.Volume{CapacityBytes: 999}), noVolume, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := provision.Conclude(planned(t, true), test.response)
			if got.Volume != nil || got.Err == nil || !strings.Contains(got.Err.Error(), test.want) {
				t.Errorf("Conclude = %v, %v; want the error %q", got.Volume, got.Err, test.want)
			}
			if got.Discard != test.discard {
				t.Errorf("%q is to be discarded, want %q", got.Discard, test.discard)
			}
		})
	}
}

func TestConcludeCapacity(t *testing.T) {
	for name, test := range map[string]struct {
		requested, answered int64
		want                string
	}{
		"as requested":       {1000, 1000, "1k"},
		"more":               {1000, 2048, "2Ki"},
		"unknown":            {1000, 0, "1k"},
		"nothing requested":  {0, 4096, "4Ki"},
		"nothing, and never": {0, 0, "0"},
	} {
		t.Run(name, func(t *testing.T) {
			plan := planned(t, false)
			plan.Request.CapacityRange.RequiredBytes = test.requested
			got := provision.Conclude(plan, answer(&csipb.Volume{VolumeId: "v", CapacityBytes: test.answered}))
			if got.Err != nil {
				t.Fatal(got.Err)
			}
			want := quantity(t, test.want)
			if capacity := got.Volume.Spec.Capacity.Storage(); capacity.Cmp(want) != 0 || len(got.Volume.Spec.Capacity) != 1 {
				t.Errorf("capacity is %v, want %s", got.Volume.Spec.Capacity, test.want)
			}
		})
	}
}

func TestConcludeContext(t *testing.T) {
	type context = map[string]string
	much := strings.Repeat("b", 1<<20-4<<10)
	for name, test := range map[string]struct{ context, want context }{
		"none":                   {nil, context{identityKey: "me"}},
		"empty":                  {context{}, context{identityKey: "me"}},
		"some":                   {context{"a": "b"}, context{"a": "b", identityKey: "me"}},
		"as much as fits":        {context{"a": much}, context{"a": much, identityKey: "me"}},
		"overrides the identity": {context{"a": "b", identityKey: "you"}, context{"a": "b", identityKey: "you"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := provision.Conclude(planned(t, false), answer(&csipb.Volume{VolumeId: "v", VolumeContext: test.context}))
			if got.Err != nil {
				t.Fatal(got.Err)
			}
			if diff := cmp.Diff(test.want, got.Volume.Spec.CSI.VolumeAttributes); diff != "" {
				t.Errorf("attributes (-want +got):\n%s", diff)
			}
			if got.Volume.Spec.CSI.VolumeHandle != "v" {
				t.Errorf("handle is %q", got.Volume.Spec.CSI.VolumeHandle)
			}
		})
	}
}

func TestConcludeTopology(t *testing.T) {
	zone := []*csipb.Topology{{Segments: map[string]string{"zone": "a"}}}
	for name, test := range map[string]struct {
		uses       bool
		accessible []*csipb.Topology
		want       bool
	}{
		"on":             {true, zone, true},
		"off":            {false, zone, false},
		"on, none":       {true, nil, false},
		"on, everywhere": {true, []*csipb.Topology{{}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got := provision.Conclude(planned(t, test.uses), answer(&csipb.Volume{VolumeId: "v", AccessibleTopology: test.accessible}))
			if got.Err != nil {
				t.Fatal(got.Err)
			}
			if affinity := got.Volume.Spec.NodeAffinity; (affinity != nil) != test.want {
				t.Errorf("affinity is %v, want one: %t", affinity, test.want)
			}
		})
	}
}

// A plan may be concluded more than once: its request is repeated until the
// outcome is known.
func TestConcludingDoesNotChangeThePlan(t *testing.T) {
	plan := planned(t, true)
	volume := plan.Volume.DeepCopy()
	response := answer(&csipb.Volume{
		VolumeId: "v", CapacityBytes: 2000, VolumeContext: map[string]string{"a": "b"},
		AccessibleTopology: []*csipb.Topology{{Segments: map[string]string{"zone": "a"}}},
	})
	first := provision.Conclude(plan, response)
	if first.Err != nil {
		t.Fatal(first.Err)
	}
	want := first.Volume.DeepCopy()
	spoil(first.Volume)
	if diff := cmp.Diff(volume, plan.Volume); diff != "" {
		t.Errorf("the plan has changed (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, provision.Conclude(plan, response).Volume); diff != "" {
		t.Errorf("concluded otherwise the second time (-want +got):\n%s", diff)
	}
}
