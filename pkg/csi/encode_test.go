package csi

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// placed returns a request with a requirement.
func placed(requirement *csipb.TopologyRequirement) *csipb.CreateVolumeRequest {
	return &csipb.CreateVolumeRequest{
		Name:                      "pvc-1",
		CapacityRange:             &csipb.CapacityRange{RequiredBytes: 1 << 30},
		Parameters:                map[string]string{"a": "b"},
		Secrets:                   map[string]string{"c": "d"},
		AccessibilityRequirements: requirement,
		MutableParameters:         map[string]string{"e": "f"},
	}
}

func segment(pairs ...string) *csipb.Topology {
	topology := &csipb.Topology{Segments: map[string]string{}}
	for n := 0; n < len(pairs); n += 2 {
		topology.Segments[pairs[n]] = pairs[n+1]
	}
	return topology
}

// manyNodes returns the topologies of nodes.
func manyNodes(nodes int) []*csipb.Topology {
	var all []*csipb.Topology
	for n := range nodes {
		all = append(all, segment("topology.driver.example/node", fmt.Sprintf("node-%d", n)))
	}
	return all
}

// from returns a requirement that prefers the topology at a place, and then those after it.
func from(first int, all []*csipb.Topology) *csipb.TopologyRequirement {
	return &csipb.TopologyRequirement{Requisite: all, Preferred: slices.Concat(all[first:], all[:first])}
}

func manySegments(nodes int) *csipb.TopologyRequirement { return from(nodes/3, manyNodes(nodes)) }

func TestCodecEncodes(t *testing.T) {
	t.Parallel()
	unknown := segment("zone", "a")
	unknown.ProtoReflect().SetUnknown(protoreflect.RawFields{0x78, 0x05}) // field 15 is 5
	later := placed(from(0, append(manyNodes(longList), unknown)))
	later.ProtoReflect().SetUnknown(protoreflect.RawFields{0x98, 0x06, 0x07}) // field 99 is 7
	for name, message := range map[string]proto.Message{
		"no requirement":    placed(nil),
		"an empty one":      placed(&csipb.TopologyRequirement{}),
		"an empty topology": placed(&csipb.TopologyRequirement{Preferred: []*csipb.Topology{{}}}),
		"two segments":      placed(&csipb.TopologyRequirement{Requisite: []*csipb.Topology{segment("zone", "a", "rack", "")}}),
		"a long value":      placed(&csipb.TopologyRequirement{Requisite: []*csipb.Topology{segment("zone", strings.Repeat("x", 300))}}),
		"many":              placed(manySegments(3000)),
		"first first":       placed(from(0, manyNodes(longList))),
		"last first":        placed(from(longList-1, manyNodes(longList))),
		"none preferred":    placed(&csipb.TopologyRequirement{Requisite: manyNodes(longList)}),
		"others preferred":  placed(&csipb.TopologyRequirement{Requisite: manyNodes(longList), Preferred: manyNodes(longList)}),
		"another order":     placed(swapped(from(3, manyNodes(longList)))),
		"unknown above":     withUnknown(placed(from(3, manyNodes(longList)))),
		"unknown fields":    later,
		"another message":   &csipb.DeleteVolumeRequest{VolumeId: "v"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			encoded, err := newCodec().Marshal(message)
			if err != nil {
				t.Fatal(err)
			}
			got := message.ProtoReflect().New().Interface()
			if err := proto.Unmarshal(encoded.Materialize(), got); err != nil {
				t.Fatalf("decoding: %v", err)
			}
			if !proto.Equal(got, message) {
				t.Errorf("decoded %v, want %v", got, message)
			}
			if size := proto.Size(message); encoded.Len() != size {
				t.Errorf("%d bytes, want %d", encoded.Len(), size)
			}
		})
	}
}

// swapped changes the order of the preferred list.
func swapped(r *csipb.TopologyRequirement) *csipb.TopologyRequirement {
	r.Preferred[5], r.Preferred[6] = r.Preferred[6], r.Preferred[5]
	return r
}

func withUnknown(request *csipb.CreateVolumeRequest) *csipb.CreateVolumeRequest {
	request.AccessibilityRequirements.ProtoReflect().SetUnknown(protoreflect.RawFields{0x78, 0x05})
	return request
}

// TestCodecKnowsTheFields: the codec writes the fields of the requirement itself, so one that
// a later version of CSI adds must be added to it.
func TestCodecKnowsTheFields(t *testing.T) {
	t.Parallel()
	fields := (&csipb.TopologyRequirement{}).ProtoReflect().Descriptor().Fields()
	if fields.Len() != 2 || fields.ByName("requisite").Number() != requisiteOfRequired || fields.ByName("preferred").Number() != preferredOfRequired {
		t.Errorf("TopologyRequirement has %v, and the codec knows others", fields)
	}
	field := (&csipb.CreateVolumeRequest{}).ProtoReflect().Descriptor().Fields().ByName("accessibility_requirements")
	if field == nil || field.Number() != requirementOfCreate {
		t.Errorf("CreateVolumeRequest: the requirement is not field %d", requirementOfCreate)
	}
}

// TestCodecRemembersLists: a list that many requests share is encoded once, and no more lists
// are kept than that.
func TestCodecRemembersLists(t *testing.T) {
	t.Parallel()
	lists := &recentLists{}
	get := func(topologies []*csipb.Topology) *encodedList {
		t.Helper()
		list, err := lists.get(topologies)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	shared := manyNodes(longList)
	first := get(shared)
	for range 2 * maxLists {
		get(manyNodes(longList))
		if get(shared) != first {
			t.Fatal("the list that is used was encoded again")
		}
	}
	if len(lists.lists) != maxLists {
		t.Errorf("%d lists are kept, want %d", len(lists.lists), maxLists)
	}
	if get(shared[:longList-1]) == first {
		t.Error("a shorter list is taken for the longer one")
	}
}

func TestCodecHasNoName(t *testing.T) {
	t.Parallel()
	if name := newCodec().Name(); name != "" {
		t.Errorf("the name is %q: it would become part of the content type", name)
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, nodes := range []int{1, 5000, 15_000} {
		request := placed(manySegments(nodes))
		codec := newCodec()
		for name, marshal := range map[string]func() error{
			"codec": func() error {
				encoded, err := codec.Marshal(request)
				encoded.Free()
				return err
			},
			"protobuf": func() error { _, err := proto.Marshal(request); return err },
		} {
			b.Run(fmt.Sprintf("nodes=%d/%s", nodes, name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if err := marshal(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
