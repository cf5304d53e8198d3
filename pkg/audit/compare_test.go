package audit_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/csi-provisioner/csi-provisioner/pkg/audit"
)

func volumes(handles ...string) []audit.Volume {
	var all []audit.Volume
	for _, handle := range handles {
		all = append(all, audit.Volume{Handle: handle})
	}
	return all
}

// pv is a PersistentVolume of that handle, whose claim has the UID "uid-NAME".
func pv(name, handle string) audit.PersistentVolume {
	return audit.PersistentVolume{Name: name, UID: types.UID("pv-" + name), Handle: handle, Claim: claim(name)}
}

func claim(name string) *audit.Claim {
	return &audit.Claim{Namespace: "ns", Name: name, UID: types.UID("uid-" + name)}
}

func pvs(all ...audit.PersistentVolume) []audit.PersistentVolume { return all }

// intents are those of volumes of these names.
func intents(names ...string) []audit.Intent {
	var all []audit.Intent
	for _, name := range names {
		all = append(all, audit.Intent{VolumeName: name, Claim: *claim(name)})
	}
	return all
}

func deleting(p audit.PersistentVolume) audit.PersistentVolume {
	p.Deleting = true
	return p
}

func TestCompare(t *testing.T) {
	type look struct {
		Volumes           []audit.Volume
		Intents           []audit.Intent
		PersistentVolumes []audit.PersistentVolume
	}
	for name, c := range map[string]struct {
		before []audit.PersistentVolume
		looks  []look
		want   map[string]audit.State // by handle
		open   int
		// atLeast is the number of volumes that are unknown for certain.
		atLeast int
	}{
		"all is in order": {
			before: pvs(pv("a", "h-1")),
			looks:  []look{{volumes("h-1"), nil, pvs(pv("a", "h-1"))}},
			want:   map[string]audit.State{"h-1": audit.Known},
		},
		"nothing is there": {looks: []look{{}}},
		"unknown in both looks": {
			looks:   []look{{Volumes: volumes("h-1")}, {Volumes: volumes("h-1")}},
			want:    map[string]audit.State{"h-1": audit.Unknown},
			atLeast: 1,
		},
		"deleted between list and PersistentVolumes": {
			looks: []look{{Volumes: volumes("h-1")}, {}},
		},
		"stored between the looks": {
			looks: []look{{volumes("h-1"), intents("a"), nil}, {volumes("h-1"), nil, pvs(pv("a", "h-1"))}},
			want:  map[string]audit.State{"h-1": audit.Known},
		},
		"stored, and the record of its intent is still there": {
			before: pvs(pv("a", "h-1")),
			looks: []look{
				{volumes("h-1", "h-2"), intents("a"), pvs(pv("a", "h-1"))},
				{volumes("h-1", "h-2"), intents("a"), pvs(pv("a", "h-1"))},
			},
			want:    map[string]audit.State{"h-1": audit.Known, "h-2": audit.Unknown},
			atLeast: 1,
		},
		"known before only": {
			before: pvs(pv("a", "h-1")),
			looks:  []look{{volumes("h-1"), nil, nil}},
			want:   map[string]audit.State{"h-1": audit.Known},
		},
		"the handle shows the intent": {
			looks: []look{{volumes("array/a/0"), intents("array/a"), nil}},
			want:  map[string]audit.State{"array/a/0": audit.InCreation},
		},
		"the context shows the intent": {
			looks: []look{{[]audit.Volume{{Handle: "h-1", Context: map[string]string{"of": "ns/uid-a"}}}, intents("a"), nil}},
			want:  map[string]audit.State{"h-1": audit.InCreation},
		},
		"of a record that can't be read": {
			looks: []look{{volumes("array/uid-a"), []audit.Intent{{Claim: audit.Claim{UID: "uid-a"}}}, nil}},
			want:  map[string]audit.State{"array/uid-a": audit.InCreation},
		},
		"a record that can't be read of a claim that has its volume": {
			before: pvs(pv("a", "h-1")),
			looks: []look{
				{volumes("h-1", "h-2"), []audit.Intent{{Claim: audit.Claim{UID: "uid-a"}}}, pvs(pv("a", "h-1"))},
				{volumes("h-1", "h-2"), []audit.Intent{{Claim: audit.Claim{UID: "uid-a"}}}, pvs(pv("a", "h-1"))},
			},
			want:    map[string]audit.State{"h-1": audit.Known, "h-2": audit.Unknown},
			atLeast: 1,
		},
		"an intent whose claim is bound to another volume": {
			before: pvs(audit.PersistentVolume{Name: "static", UID: "s", Handle: "h-1", Claim: claim("pvc-a")}),
			looks: []look{
				{volumes("h-1", "h-2"), intents("pvc-a"), pvs(audit.PersistentVolume{Name: "static", UID: "s", Handle: "h-1", Claim: claim("pvc-a")})},
				{volumes("h-1", "h-2"), intents("pvc-a"), pvs(audit.PersistentVolume{Name: "static", UID: "s", Handle: "h-1", Claim: claim("pvc-a")})},
			},
			want: map[string]audit.State{"h-1": audit.Known, "h-2": audit.Unclear},
			open: 1,
		},
		"the handle shows nothing": {
			looks: []look{{volumes("h-1"), intents("a"), nil}, {volumes("h-1"), intents("a"), nil}},
			want:  map[string]audit.State{"h-1": audit.Unclear},
			open:  1,
		},
		"more volumes than intents": {
			looks: []look{
				{volumes("h-1", "h-2", "h-3"), intents("a"), nil},
				{volumes("h-1", "h-2", "h-3"), intents("a"), nil},
			},
			want:    map[string]audit.State{"h-1": audit.Unclear, "h-2": audit.Unclear, "h-3": audit.Unclear},
			open:    1,
			atLeast: 2,
		},
		"the intent has its volume, the other volume is nobody's": {
			looks: []look{
				{volumes("a-0", "h-2"), intents("a"), nil},
				{volumes("a-0", "h-2"), intents("a"), nil},
			},
			want:    map[string]audit.State{"a-0": audit.InCreation, "h-2": audit.Unknown},
			atLeast: 1,
		},
		"the intent has come after the volume": {
			looks:   []look{{volumes("h-1"), nil, nil}, {volumes("h-1"), intents("a"), nil}},
			want:    map[string]audit.State{"h-1": audit.Unknown},
			atLeast: 1,
		},
		"undone after the last list": {
			looks: []look{{volumes("h-1"), intents("a"), nil}, {volumes("h-1"), nil, nil}},
			want:  map[string]audit.State{"h-1": audit.Unclear},
			open:  1,
		},
		"appeared at last": {
			looks: []look{{volumes("h-1"), nil, nil}, {volumes("h-1", "h-2"), nil, nil}},
			want:  map[string]audit.State{"h-1": audit.Unknown, "h-2": audit.InCreation}, atLeast: 1,
		},
		"gone": {
			before: pvs(pv("a", "h-1")),
			looks:  []look{{PersistentVolumes: pvs(pv("a", "h-1"))}, {PersistentVolumes: pvs(pv("a", "h-1"))}},
			want:   map[string]audit.State{"h-1": audit.Gone},
		},
		"missing in one list": {
			before: pvs(pv("a", "h-1")),
			looks:  []look{{PersistentVolumes: pvs(pv("a", "h-1"))}, {volumes("h-1"), nil, pvs(pv("a", "h-1"))}},
			want:   map[string]audit.State{"h-1": audit.Known},
		},
		"made after the list": {
			looks: []look{{PersistentVolumes: pvs(pv("a", "h-1"))}, {PersistentVolumes: pvs(pv("a", "h-1"))}},
		},
		"deleted, and its PersistentVolume, too": {
			before: pvs(pv("a", "h-1")),
			looks:  []look{{PersistentVolumes: pvs(pv("a", "h-1"))}, {}},
		},
		"deleted, and its PersistentVolume will be": {
			before: pvs(pv("a", "h-1")),
			looks:  []look{{PersistentVolumes: pvs(pv("a", "h-1"))}, {PersistentVolumes: pvs(deleting(pv("a", "h-1")))}},
		},
		"deleted, and another PersistentVolume has its name": {
			before: pvs(pv("a", "h-1")),
			looks:  []look{{PersistentVolumes: pvs(audit.PersistentVolume{Name: "a", UID: "another", Handle: "h-1"})}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			evidence := audit.Evidence{Driver: "d", Before: c.before}
			for _, l := range c.looks {
				evidence.Looks = append(evidence.Looks, audit.Look{
					Volumes: l.Volumes, Records: audit.Records{Intents: l.Intents}, PersistentVolumes: l.PersistentVolumes,
				})
			}
			report := audit.Compare(evidence)
			got := map[string]audit.State{}
			for _, finding := range report.Volumes {
				if _, twice := got[finding.VolumeHandle]; twice {
					t.Errorf("volume %s is reported twice", finding.VolumeHandle)
				}
				got[finding.VolumeHandle] = finding.State
			}
			if c.want == nil {
				c.want = map[string]audit.State{}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("states (-want +got):\n%s", diff)
			}
			if len(report.OpenIntents) != c.open || report.Summary.UnknownAtLeast != c.atLeast {
				t.Errorf("%d intents are open, %d volumes unknown at least, want %d and %d", len(report.OpenIntents), report.Summary.UnknownAtLeast, c.open, c.atLeast)
			}
		})
	}
}

func TestCompareTellsWhoseAVolumeIs(t *testing.T) {
	shared := pv("b", "h-1")
	static := audit.PersistentVolume{Name: "static", UID: "s", Handle: "h-2"}
	broken := audit.PersistentVolume{Name: "broken", UID: "x", Problem: "no zone"}
	all := pvs(pv("a", "h-1"), shared, static, broken)
	report := audit.Compare(audit.Evidence{Driver: "d", Before: all, Looks: []audit.Look{{
		Volumes:           []audit.Volume{{Handle: "h-2"}, {Handle: "h-1", CapacityBytes: 5}, {Handle: "c"}},
		Records:           audit.Records{Intents: intents("c")},
		PersistentVolumes: all,
	}}})
	want := &audit.Report{
		Driver:  "d",
		Summary: audit.Summary{Known: 2, InCreation: 1},
		Volumes: []audit.Finding{
			{State: audit.Known, VolumeHandle: "h-1", CapacityBytes: 5, PersistentVolumes: []string{"a", "b"}, Claims: []audit.Claim{*claim("a"), *claim("b")}},
			{State: audit.Known, VolumeHandle: "h-2", PersistentVolumes: []string{"static"}},
			{State: audit.InCreation, VolumeHandle: "c", Claims: []audit.Claim{*claim("c")}},
		},
		OpenIntents: []audit.Intent{}, Records: []audit.Kept{},
		Notes: []string{`the volume of PersistentVolume "broken" can't be told, and may be among the unknown ones: no zone`},
	}
	if diff := cmp.Diff(want, report); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}
