package capacity_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/protobuf/types/known/wrapperspb"
	storagev1 "k8s.io/api/storage/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/capacity"
)

// objectsFrom makes an object from each byte.
func objectsFrom(seeds []byte) []*storagev1.CSIStorageCapacity {
	var objects []*storagev1.CSIStorageCapacity
	for i, seed := range seeds {
		o := object(fmt.Sprintf("o%d", i), time.Duration(seed>>4)*time.Hour)
		for bit, change := range []func(*storagev1.CSIStorageCapacity){foreign, otherDriver, largest("2Gi"), owned(owner("other"))} {
			if seed>>bit&1 == 1 {
				change(o)
			}
		}
		objects = append(objects, o)
	}
	return objects
}

// settled is what there must be when all is done, worked out the simple way: the
// objects of others as they were, and one of our own if there shall be one.
func settled(objects []*storagev1.CSIStorageCapacity, wanted bool, available, maximum int64) []string {
	var state []string
	var first *storagev1.CSIStorageCapacity
	for _, o := range objects {
		if !settings().Owns(o) {
			state = append(state, o.Name+" "+shown(o))
			continue
		}
		if first == nil || o.CreationTimestamp.Before(&first.CreationTimestamp) ||
			o.CreationTimestamp.Equal(&first.CreationTimestamp) && o.Name < first.Name {
			first = o
		}
	}
	if wanted {
		text := fmt.Sprintf("%d", available)
		if maximum > 0 {
			text += fmt.Sprintf(" max=%d", maximum)
		}
		if first == nil {
			text += " mine!"
		} else if len(first.OwnerReferences) > 0 {
			text += " other! mine"
		} else {
			text += " mine!"
		}
		state = append(state, "one "+text)
	}
	slices.Sort(state)
	return state
}

// FuzzPair lets a pair with any objects come to rest, and compares with what the
// simple way says; from then on there must be nothing to do.
func FuzzPair(f *testing.F) {
	f.Add([]byte{0x00, 0x10, 0x13}, true, int64(5), int64(0))
	f.Add([]byte{0x04, 0x28}, false, int64(7), int64(9))
	f.Fuzz(func(t *testing.T, seeds []byte, wanted bool, available, maximum int64) {
		if available < 0 || maximum < 0 || len(seeds) > 20 {
			t.Skip()
		}
		answer := &csipb.GetCapacityResponse{AvailableCapacity: available}
		if maximum > 0 {
			answer.MaximumVolumeSize = wrapperspb.Int64(maximum)
		}
		mine := owner("mine")
		in := capacity.Input{Settings: settings(), Class: class(), Segment: zone("a"), Exists: wanted, Objects: objectsFrom(seeds), Due: true}
		in.Owner = &mine
		want := settled(in.Objects, wanted, available, maximum)

		if !advance(t, &in, answer) && wanted {
			t.Error("the driver was not asked")
		}
		if got := state(in.Objects); !slices.Equal(got, want) {
			t.Errorf("there is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		before := state(in.Objects)
		if advance(t, &in, answer); !slices.Equal(before, state(in.Objects)) {
			t.Error("it does not come to rest")
		}
		in.Due = false
		if d := capacity.Decide(in); d.Request != nil || len(d.Delete) > 0 {
			t.Errorf("at rest, there is %+v to do", d)
		}
	})
}

// advance does what is decided, and tells whether the driver was asked.
func advance(t *testing.T, in *capacity.Input, answer *csipb.GetCapacityResponse) (asked bool) {
	d := capacity.Decide(*in)
	in.Objects = slices.DeleteFunc(in.Objects, func(o *storagev1.CSIStorageCapacity) bool { return slices.Contains(d.Delete, o) })
	if d.Request == nil {
		return false
	}
	w, err := capacity.Conclude(*in, d.Keep, answer)
	if err != nil {
		t.Fatal(err)
	}
	if w.Create != nil {
		in.Objects = append(in.Objects, w.Create)
	}
	if i := slices.Index(in.Objects, w.From); w.From != nil {
		in.Objects[i] = w.To
	}
	return true
}

func state(objects []*storagev1.CSIStorageCapacity) []string {
	var state []string
	for _, o := range objects {
		if !settings().Owns(o) {
			state = append(state, o.Name+" "+shown(o))
			continue
		}
		text := fmt.Sprint(o.Capacity.Value())
		if o.MaximumVolumeSize != nil {
			text += fmt.Sprintf(" max=%d", o.MaximumVolumeSize.Value())
		}
		for _, ref := range o.OwnerReferences {
			text += " " + string(ref.UID)
			if ref.Controller != nil {
				text += "!"
			}
		}
		state = append(state, "one "+text)
	}
	slices.Sort(state)
	return state
}
