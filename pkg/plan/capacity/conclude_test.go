package capacity_test

import (
	"strings"
	"testing"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/wrapperspb"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/capacity"
)

const gib = 1 << 30

func yes() *bool {
	value := true
	return &value
}

func owner(uid types.UID) metav1.OwnerReference {
	return metav1.OwnerReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "driver", UID: uid, Controller: yes()}
}

func owned(by ...metav1.OwnerReference) func(*storagev1.CSIStorageCapacity) {
	return func(o *storagev1.CSIStorageCapacity) { o.OwnerReferences = by }
}

func largest(size string) func(*storagev1.CSIStorageCapacity) {
	return func(o *storagev1.CSIStorageCapacity) {
		quantity := resource.MustParse(size)
		o.MaximumVolumeSize = &quantity
	}
}

// shown is what matters of an object that is written.
func shown(o *storagev1.CSIStorageCapacity) string {
	if o == nil {
		return ""
	}
	text := o.Capacity.String()
	if o.MaximumVolumeSize != nil {
		text += " max=" + o.MaximumVolumeSize.String()
	}
	for _, ref := range o.OwnerReferences {
		text += " " + string(ref.UID)
		if ref.Controller != nil && *ref.Controller {
			text += "!"
		}
	}
	return text
}

func TestConclude(t *testing.T) {
	answer := func(available int64) *csipb.GetCapacityResponse {
		return &csipb.GetCapacityResponse{AvailableCapacity: available}
	}
	bounded := &csipb.GetCapacityResponse{AvailableCapacity: gib, MaximumVolumeSize: wrapperspb.Int64(2 * gib), MinimumVolumeSize: wrapperspb.Int64(1)}
	mine := owner("mine")
	for name, test := range map[string]struct {
		owner  *metav1.OwnerReference
		keep   *storagev1.CSIStorageCapacity
		answer *csipb.GetCapacityResponse
		create string
		change string
	}{
		"a new one":                  {nil, nil, answer(gib), "1Gi", ""},
		"a new one of nothing":       {nil, nil, answer(0), "0", ""},
		"a new one with a maximum":   {nil, nil, bounded, "1Gi max=2Gi", ""},
		"a new one with an owner":    {&mine, nil, answer(gib), "1Gi mine!", ""},
		"as it is":                   {nil, object("x", 0), answer(gib), "", ""},
		"as it is, otherwise put":    {nil, object("x", 0, func(o *storagev1.CSIStorageCapacity) { *o.Capacity = resource.MustParse("1048576Ki") }), answer(gib), "", ""},
		"less":                       {nil, object("x", 0), answer(gib / 2), "", "512Mi"},
		"nothing left":               {nil, object("x", 0), answer(0), "", "0"},
		"no capacity yet":            {nil, object("x", 0, func(o *storagev1.CSIStorageCapacity) { o.Capacity = nil }), answer(gib), "", "1Gi"},
		"a maximum":                  {nil, object("x", 0), bounded, "", "1Gi max=2Gi"},
		"the same maximum":           {nil, object("x", 0, largest("2Gi")), bounded, "", ""},
		"another maximum":            {nil, object("x", 0, largest("3Gi")), bounded, "", "1Gi max=2Gi"},
		"no maximum any more":        {nil, object("x", 0, largest("3Gi")), answer(gib), "", "1Gi"},
		"a maximum of nothing":       {nil, object("x", 0), &csipb.GetCapacityResponse{AvailableCapacity: gib, MaximumVolumeSize: wrapperspb.Int64(0)}, "", "1Gi max=0"},
		"the owner is missing":       {&mine, object("x", 0), answer(gib), "", "1Gi mine!"},
		"the owner is there":         {&mine, object("x", 0, owned(owner("mine"))), answer(gib), "", ""},
		"the owner and another":      {&mine, object("x", 0, owned(owner("other"), metav1.OwnerReference{UID: "mine"})), answer(gib), "", ""},
		"another controller":         {&mine, object("x", 0, owned(owner("other"))), answer(gib), "", "1Gi other! mine"},
		"another owner":              {&mine, object("x", 0, owned(metav1.OwnerReference{UID: "other"})), answer(gib), "", "1Gi other mine!"},
		"an owner that is not asked": {nil, object("x", 0, owned(owner("other"))), answer(gib), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			in := capacity.Input{Settings: settings(), Class: class(), Segment: zone("a"), Exists: true}
			in.Owner = test.owner
			before := test.keep.DeepCopy()
			w, err := capacity.Conclude(in, test.keep, test.answer)
			if err != nil {
				t.Fatal(err)
			}
			if got := shown(w.Create); got != test.create {
				t.Errorf("created is %q, want %q", got, test.create)
			}
			if got := shown(w.To); got != test.change {
				t.Errorf("changed to %q, want %q", got, test.change)
			}
			if (w.To != nil) != (w.From != nil) || w.From != nil && w.From != test.keep {
				t.Errorf("changed from %v", w.From)
			}
			if diff := cmp.Diff(before, test.keep); diff != "" {
				t.Errorf("the object was changed:\n%s", diff)
			}
		})
	}
}

// TestNewObject: all of it, as the scheduler and external-provisioner read it.
func TestNewObject(t *testing.T) {
	in := capacity.Input{Settings: settings(), Class: class(), Segment: zone("a"), Exists: true}
	w, err := capacity.Conclude(in, nil, &csipb.GetCapacityResponse{AvailableCapacity: gib})
	if err != nil {
		t.Fatal(err)
	}
	want := object(w.Create.Name, 0, func(o *storagev1.CSIStorageCapacity) {
		o.UID, o.CreationTimestamp = "", metav1.Time{}
		o.Labels = map[string]string{"csi.storage.k8s.io/drivername": driverName, "csi.storage.k8s.io/managed-by": "external-provisioner"}
	})
	if diff := cmp.Diff(want, w.Create); diff != "" {
		t.Errorf("the object (-want +got):\n%s", diff)
	}
	if key := capacity.KeyOf(w.Create); key != (capacity.Key{Class: "fast", Segment: "zone=a"}) {
		t.Errorf("its key is %q", key)
	}

	// One pair has one name, another pair another.
	seen := map[string]string{}
	for what, change := range map[string]func(*capacity.Input){
		"the same": func(*capacity.Input) {}, "driver": func(in *capacity.Input) { in.Driver = "other" },
		"manager": func(in *capacity.Input) { in.ManagedBy = "other" }, "segment": func(in *capacity.Input) { in.Segment = zone("b") },
		"class": func(in *capacity.Input) { in.Class.Name = "slow" },
	} {
		other := capacity.Input{Settings: settings(), Class: class(), Segment: zone("a"), Exists: true}
		change(&other)
		name := other.Name()
		if again, ok := seen[name]; ok {
			t.Errorf("%s and %s have the name %s", what, again, name)
		}
		seen[name] = what
		if !strings.HasPrefix(name, names.CapacityPrefix) || (name == in.Name()) != (what == "the same") {
			t.Errorf("%s: the name is %q, that of the pair %q", what, name, in.Name())
		}
	}
}

func TestConcludeRefusesNonsense(t *testing.T) {
	for name, test := range map[string]struct {
		answer *csipb.GetCapacityResponse
		want   string
	}{
		"negative capacity": {&csipb.GetCapacityResponse{AvailableCapacity: -1}, "available capacity of -1 bytes"},
		"negative maximum":  {&csipb.GetCapacityResponse{MaximumVolumeSize: wrapperspb.Int64(-5)}, "maximum volume size of -5 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			in := capacity.Input{Settings: settings(), Class: class(), Segment: zone("a"), Exists: true}
			w, err := capacity.Conclude(in, nil, test.answer)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "fault of the driver") || w != (capacity.Write{}) {
				t.Errorf("Conclude = %v, %v", w, err)
			}
		})
	}
}
