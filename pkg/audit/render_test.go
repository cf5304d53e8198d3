package audit_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csi-provisioner/csi-provisioner/pkg/audit"
)

// full is a report with everything in it.
func full() *audit.Report {
	all := pvs(pv("a", "h-1"), pv("b", "h-2"), pv("static", "h-1"))
	all[2].Claim = nil
	look := audit.Look{
		Volumes:           []audit.Volume{{Handle: "h-1", CapacityBytes: 1 << 30}, {Handle: "c-0"}, {Handle: "odd\thandle\n"}, {Handle: "h-9"}},
		PersistentVolumes: all,
	}
	look.Intents = append(intents("c", "q"), audit.Intent{Claim: audit.Claim{UID: "torn"}})
	look.Kept = []audit.Kept{
		{ConfigMap: "journal-1", Key: "torn", State: audit.Unreadable, Reason: "decompressing: unexpected EOF"},
		{ConfigMap: "journal-2", Key: "uid-x", State: audit.SetAside, Reason: "it is old", Claim: claim("x"), VolumeName: "pvc-x", VolumeHandle: "h-x"},
		{ConfigMap: "journal-2", Key: "uid-y", State: audit.Unconfirmed, Reason: "it is not signed", Claim: claim("y"), VolumeName: "pvc-y"},
	}
	look.Volumes = append(look.Volumes, volumes("h-7", "h-8")...)
	return audit.Compare(audit.Evidence{Driver: "csi.example", Before: all, Looks: []audit.Look{look, look}})
}

func TestTable(t *testing.T) {
	var table strings.Builder
	if err := full().WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	want := `STATE         VOLUME            SIZE   PERSISTENTVOLUME   CLAIM
known         h-1               1Gi    a,static           ns/a
in creation   c-0               -      -                  ns/c
unclear       h-7               -      -                  -
unclear       h-8               -      -                  -
unclear       h-9               -      -                  -
unclear       "odd\thandle\n"   -      -                  -
gone          h-2               -      b                  ns/b

RECORD            STATE         CLAIM   VOLUME   REASON
journal-1/torn    unreadable    -       -        decompressing: unexpected EOF
journal-2/uid-x   set aside     ns/x    h-x      it is old
journal-2/uid-y   unconfirmed   ns/y    pvc-y    it is not signed

CSI driver csi.example has 6 volumes: 1 known, 1 in creation, 4 unclear, 0 unknown. PersistentVolumes whose volume is gone: 1.
Volumes are being made for ns/q, uid torn, and no volume shows by its handle that it is one of them.
The unclear volumes may be theirs: run the audit again when they are done. For certain nobody's: 2.
Records of the journal that wait for a decision: 2. Confirm or discard each with csi-provisioner audit --confirm=RECORD or --discard=RECORD; see docs/audit.md.
the journal's record for the claim with UID "torn" can't be read: its volume may be among the unclear ones
`
	if diff := cmp.Diff(want, table.String()); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

func TestTableOfNothing(t *testing.T) {
	report := audit.Compare(audit.Evidence{Driver: "csi.example", Looks: []audit.Look{{}}})
	report.Notes = []string{"a\x1bnote"}
	var table strings.Builder
	if err := report.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	want := `CSI driver csi.example has 0 volumes: 0 known, 0 in creation, 0 unclear, 0 unknown. PersistentVolumes whose volume is gone: 0.
"a\x1bnote"
`
	if diff := cmp.Diff(want, table.String()); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

// TestJSON: the names of the fields are what scripts rely on.
func TestJSON(t *testing.T) {
	var text strings.Builder
	if err := full().WriteJSON(&text); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(text.String()), &got); err != nil {
		t.Fatal(err)
	}
	of := func(name string) map[string]any {
		return map[string]any{"namespace": "ns", "name": name, "uid": "uid-" + name}
	}
	want := map[string]any{
		"driver": "csi.example",
		"summary": map[string]any{
			"known": 1.0, "inCreation": 1.0, "unclear": 4.0, "unknown": 0.0, "gone": 1.0, "unknownAtLeast": 2.0,
		},
		"volumes": []any{
			map[string]any{"state": "known", "volumeHandle": "h-1", "capacityBytes": float64(1 << 30), "persistentVolumes": []any{"a", "static"}, "claims": []any{of("a")}},
			map[string]any{"state": "inCreation", "volumeHandle": "c-0", "claims": []any{of("c")}},
			map[string]any{"state": "unclear", "volumeHandle": "h-7"},
			map[string]any{"state": "unclear", "volumeHandle": "h-8"},
			map[string]any{"state": "unclear", "volumeHandle": "h-9"},
			map[string]any{"state": "unclear", "volumeHandle": "odd\thandle\n"},
			map[string]any{"state": "gone", "volumeHandle": "h-2", "persistentVolumes": []any{"b"}, "claims": []any{of("b")}},
		},
		"openIntents": []any{
			map[string]any{"volumeName": "q", "claim": of("q")},
			map[string]any{"volumeName": "", "claim": map[string]any{"namespace": "", "name": "", "uid": "torn"}},
		},
		"records": []any{
			map[string]any{"configMap": "journal-1", "key": "torn", "state": "unreadable", "reason": "decompressing: unexpected EOF"},
			map[string]any{"configMap": "journal-2", "key": "uid-x", "state": "setAside", "reason": "it is old", "claim": of("x"), "volumeName": "pvc-x", "volumeHandle": "h-x"},
			map[string]any{"configMap": "journal-2", "key": "uid-y", "state": "unconfirmed", "reason": "it is not signed", "claim": of("y"), "volumeName": "pvc-y"},
		},
		"notes": []any{`the journal's record for the claim with UID "torn" can't be read: its volume may be among the unclear ones`},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
}

// TestJSONOfNothing: lists are there when they are empty.
func TestJSONOfNothing(t *testing.T) {
	var text strings.Builder
	if err := audit.Compare(audit.Evidence{Looks: []audit.Look{{}}}).WriteJSON(&text); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text.String(), "null") {
		t.Errorf("the report holds null:\n%s", text.String())
	}
}

type broken struct{}

var errBroken = errors.New("broken pipe")

func (broken) Write([]byte) (int, error) { return 0, errBroken }

func TestWritingFails(t *testing.T) {
	if err := full().WriteTable(broken{}); !errors.Is(err, errBroken) {
		t.Errorf("the error of the table is %v", err)
	}
	if err := full().WriteJSON(broken{}); !errors.Is(err, errBroken) {
		t.Errorf("the error of the JSON is %v", err)
	}
}
