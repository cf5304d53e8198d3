package compare

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
)

// A world is what one side has seen, before it is made comparable.
type world struct {
	id      string
	uid     string
	objects []map[string]any
	calls   []control.Call
	events  []corev1.Event
	volumes []control.Volume
	steps   map[string]any
}

// newWorld is that of one claim with its volume. Two worlds of different ids differ
// in all that is left to chance.
func newWorld(id, uid string, begin time.Time) *world {
	pv, handle, stamp := "pvc-"+uid, "vol-"+id, begin.Format(time.RFC3339)
	request := `{"name":"` + pv + `","capacityRange":{"requiredBytes":"1"},"parameters":{"tier":"gold"},` +
		`"accessibilityRequirements":{"preferred":[{"segments":{"zone":"a"}},{"segments":{"zone":"b"}}]}}`
	call := func(method string, code codes.Code) control.Call {
		return control.Call{Method: method, VolumeName: pv, VolumeID: handle, Request: json.RawMessage(request),
			Secrets: map[string]string{"key": "value"}, Code: code, Finished: begin}
	}
	return &world{
		id: id, uid: uid,
		objects: []map[string]any{
			{
				"kind": "PersistentVolumeClaim",
				"metadata": map[string]any{
					"name": "a", "namespace": id, "uid": uid, "resourceVersion": id, "creationTimestamp": stamp,
					"annotations": map[string]any{"volume.kubernetes.io/storage-provisioner": id + ".compare.example"},
					"finalizers":  []any{"kubernetes.io/pvc-protection", "b"},
				},
				"status": map[string]any{
					"phase":      "Bound",
					"conditions": []any{map[string]any{"type": "Resizing", "status": "True", "lastTransitionTime": stamp}},
					"capacity":   map[string]any{"storage": "1Gi"},
				},
			},
			{
				"kind":     "PersistentVolume",
				"metadata": map[string]any{"name": pv, "annotations": map[string]any{"pv.kubernetes.io/provisioned-by": id + ".compare.example"}},
				"spec": map[string]any{
					"claimRef": map[string]any{"name": "a", "namespace": id, "uid": uid, "resourceVersion": uid},
					"csi": map[string]any{"driver": id + ".compare.example", "volumeHandle": handle, "volumeAttributes": map[string]any{
						"storage.kubernetes.io/csiProvisionerIdentity": "1764110000" + id[1:4] + "-77-" + id + ".compare.example"}},
				},
			},
			{
				"kind":             "CSIStorageCapacity",
				"metadata":         map[string]any{"name": "csisc-" + id, "generateName": "csisc-"},
				"storageClassName": id + "-fast", "capacity": "5Gi",
			},
		},
		calls: []control.Call{call("CreateVolume", codes.Internal), call("CreateVolume", codes.OK), call("DeleteVolume", codes.OK)},
		events: []corev1.Event{{
			InvolvedObject: corev1.ObjectReference{Kind: "PersistentVolumeClaim", Name: "a"}, Reason: "Provisioning", Type: "Normal", Count: 1,
		}},
		volumes: []control.Volume{{ID: handle, Name: pv, CapacityBytes: 1}},
		steps:   map[string]any{"step 2": happened},
	}
}

// record makes a world comparable, in the way that a side does.
func (w *world) record(t *testing.T, counts bool) any {
	t.Helper()
	s := &side{id: w.id, aliases: NewAliases(w.id)}
	s.aliases.UID(w.uid, "claim a")
	s.nameVolumes(w.volumes, w.calls)
	objects := map[string]any{}
	for _, content := range w.objects {
		object := &unstructured.Unstructured{Object: content}
		objects[key(object)] = normalObject(object)
	}
	calls, err := normalCalls(w.calls)
	if err != nil {
		t.Fatal(err)
	}
	record, err := s.aliases.Replace(map[string]any{
		"objects": objects, "calls": calls, "events": normalEvents(w.events, counts), "driver": normalVolumes(w.volumes), "steps": w.steps,
	})
	if err != nil {
		t.Fatal(err)
	}
	return record
}

func twoWorlds() (own, peer *world) {
	begin := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return newWorld("s001self", "0d4a9e01-1111-4111-8111-000000000001", begin),
		newWorld("s002peer", "f3b7c602-2222-4222-9222-000000000002", begin.Add(time.Hour))
}

func TestWorldsThatDifferByChanceAreTheSame(t *testing.T) {
	own, peer := twoWorlds()
	for _, difference := range Diff(own.record(t, true), peer.record(t, true)) {
		t.Error(difference)
	}
}

// TestPlantedDifferencesAreFound plants a difference in each kind of thing that is
// compared, and wants it found where it is, and nothing else.
func TestPlantedDifferencesAreFound(t *testing.T) {
	inObject := func(n int, path []string, value any) func(*world) {
		return func(w *world) {
			m, _ := at(w.objects[n], path[:len(path)-1]...).(map[string]any)
			m[path[len(path)-1]] = value
		}
	}
	inRequest := func(n int, old, new string) func(*world) {
		return func(w *world) {
			w.calls[n].Request = json.RawMessage(strings.Replace(string(w.calls[n].Request), old, new, 1))
		}
	}
	const (
		claim  = "objects/PersistentVolumeClaim a/"
		volume = "objects/PersistentVolume pvc-(claim a)/"
		calls  = "calls/pvc-(claim a)/"
	)
	for name, tc := range map[string]struct {
		plant func(*world)
		at    string
	}{
		"annotation":             {inObject(0, []string{"metadata", "annotations", "x/y"}, "z"), claim + "metadata/annotations/x/y"},
		"finalizer":              {inObject(0, []string{"metadata", "finalizers"}, []any{"b"}), claim + "metadata/finalizers"},
		"label":                  {inObject(0, []string{"metadata", "labels"}, map[string]any{"l": "1"}), claim + "metadata/labels"},
		"being deleted":          {inObject(0, []string{"metadata", "deletionTimestamp"}, "2026-01-02T03:04:05Z"), claim + "metadata/deletionTimestamp"},
		"phase":                  {inObject(0, []string{"status", "phase"}, "Pending"), claim + "status/phase"},
		"capacity":               {inObject(0, []string{"status", "capacity", "storage"}, "2Gi"), claim + "status/capacity/storage"},
		"status":                 {inObject(0, []string{"status", "allocatedResources"}, map[string]any{"storage": "2Gi"}), claim + "status/allocatedResources"},
		"condition":              {inObject(0, []string{"status", "conditions"}, []any{}), claim + "status/conditions/Resizing"},
		"a field of a condition": {inObject(0, []string{"status", "conditions"}, []any{map[string]any{"type": "Resizing", "status": "False", "lastTransitionTime": "2026-01-02T03:04:05Z"}}), claim + "status/conditions/Resizing/status"},
		"PersistentVolume":       {func(w *world) { w.objects = append(w.objects[:1], w.objects[2:]...) }, strings.TrimSuffix(volume, "/")},
		"a field of a volume":    {inObject(1, []string{"spec", "csi", "fsType"}, "ext4"), volume + "spec/csi/fsType"},
		"handle":                 {inObject(1, []string{"spec", "csi", "volumeHandle"}, "vol-x"), volume + "spec/csi/volumeHandle"},
		"identity": {
			inObject(1, []string{"spec", "csi", "volumeAttributes", "storage.kubernetes.io/csiProvisionerIdentity"}, "me"),
			volume + "spec/csi/volumeAttributes/storage.kubernetes.io/csiProvisionerIdentity",
		},
		"no version in a claimRef":  {func(w *world) { delete(at(w.objects[1], "spec", "claimRef").(map[string]any), "resourceVersion") }, volume + "spec/claimRef/resourceVersion"},
		"storage capacity":          {inObject(2, []string{"capacity"}, "6Gi"), "objects/CSIStorageCapacity ID-fast null/capacity"},
		"call":                      {func(w *world) { w.calls = w.calls[:2] }, calls + "DeleteVolume"},
		"the end of a call":         {func(w *world) { w.calls[2].Code = codes.NotFound }, calls + "order"},
		"a call that has not ended": {func(w *world) { w.calls[2].Finished = time.Time{} }, calls + "order"},
		"a call that was given up":  {func(w *world) { w.calls[2].Abandoned = true }, calls + "order"},
		"repeated":                  {func(w *world) { w.calls = append(w.calls[:1:1], w.calls...) }, calls + "order"},
		"a field of a request":      {inRequest(2, "gold", "tin"), calls + "DeleteVolume/parameters/tier"},
		"another request":           {inRequest(1, "gold", "tin"), calls + "CreateVolume 2"},
		"order of a list":           {inRequest(2, `{"segments":{"zone":"a"}},{"segments":{"zone":"b"}}`, `{"segments":{"zone":"b"}},{"segments":{"zone":"b"}}`), calls + "DeleteVolume/accessibilityRequirements/preferred/0/segments/zone"},
		"secret":                    {func(w *world) { w.calls[2].Secrets = map[string]string{"key": "other"} }, calls + "DeleteVolume/secrets/key"},
		"no secret":                 {func(w *world) { w.calls[2].Secrets = nil }, calls + "DeleteVolume/secrets"},
		"event":                     {func(w *world) { w.events = nil }, "events/PersistentVolumeClaim a"},
		"reason":                    {func(w *world) { w.events = append(w.events, w.events[0]); w.events[1].Reason = "X" }, "events/PersistentVolumeClaim a/X"},
		"type":                      {func(w *world) { w.events = append(w.events, w.events[0]); w.events[1].Type = "Warning" }, "events/PersistentVolumeClaim a/Provisioning/Warning"},
		"count":                     {func(w *world) { w.events[0].Count = 2 }, "events/PersistentVolumeClaim a/Provisioning/Normal"},
		"volume of the driver":      {func(w *world) { w.volumes[0].CapacityBytes = 2 }, "driver/pvc-(claim a)/capacityBytes"},
		"no volume at the driver":   {func(w *world) { w.volumes = nil }, "driver/pvc-(claim a)"},
		"what was waited for":       {func(w *world) { w.steps["step 2"] = inVain }, "steps/step 2"},
	} {
		t.Run(name, func(t *testing.T) {
			own, peer := twoWorlds()
			tc.plant(own)
			var places []string
			for _, difference := range Diff(own.record(t, true), peer.record(t, true)) {
				places = append(places, difference.At)
			}
			// A call that differs may show in the order, too.
			if len(places) == 2 && places[1] == calls+"order" {
				places = places[:1]
			}
			if len(places) != 1 || places[0] != tc.at {
				t.Errorf("found at %q, want %q", places, tc.at)
			}
		})
	}
}

func TestCountsOfEventsMatterOnlyWhereAsked(t *testing.T) {
	own, peer := twoWorlds()
	own.events[0].Count = 3
	if found := Diff(own.record(t, false), peer.record(t, false)); len(found) > 0 {
		t.Errorf("found %v", found)
	}
}

func TestEventsOfKubernetesDoNotMatter(t *testing.T) {
	own, peer := twoWorlds()
	for _, component := range others() {
		own.events = append(own.events, corev1.Event{Source: corev1.EventSource{Component: component}, Reason: "X", ObjectMeta: metav1.ObjectMeta{Name: "x"}})
	}
	if found := Diff(own.record(t, true), peer.record(t, true)); len(found) > 0 {
		t.Errorf("found %v", found)
	}
}

func TestQuestionsToTheDriverDoNotMatter(t *testing.T) {
	own, peer := twoWorlds()
	own.calls = append(own.calls, control.Call{Method: "Probe", Request: json.RawMessage(`{}`)})
	if found := Diff(own.record(t, true), peer.record(t, true)); len(found) > 0 {
		t.Errorf("found %v", found)
	}
}

func TestAVolumeIsDeletedOnceOrTwice(t *testing.T) {
	own, peer := twoWorlds()
	again := peer.calls[2]
	again.VolumeName = "" // the driver has forgotten it
	peer.calls = append(peer.calls, again)
	if found := Diff(own.record(t, true), peer.record(t, true)); len(found) > 0 {
		t.Errorf("found %v", found)
	}
	peer.calls[3].Code = codes.Internal
	if found := Diff(own.record(t, true), peer.record(t, true)); len(found) != 1 {
		t.Errorf("a failure: found %v", found)
	}
}

func TestTextsOfConditionsDoNotMatter(t *testing.T) {
	own, peer := twoWorlds()
	for n, w := range []*world{own, peer} {
		condition := at(w.objects[0], "status", "conditions").([]any)[0].(map[string]any)
		condition["message"] = []string{"one text", "another text"}[n]
	}
	if found := Diff(own.record(t, true), peer.record(t, true)); len(found) > 0 {
		t.Errorf("found %v", found)
	}
	at(peer.objects[0], "status", "conditions").([]any)[0].(map[string]any)["message"] = ""
	if found := Diff(own.record(t, true), peer.record(t, true)); len(found) != 1 {
		t.Errorf("no text: found %v", found)
	}
}

func TestConditionOfTheControllerManagerDoesNotMatter(t *testing.T) {
	own, peer := twoWorlds()
	status := at(own.objects[0], "status").(map[string]any)
	status["conditions"] = append(status["conditions"].([]any), map[string]any{"type": unused, "status": "True"})
	if found := Diff(own.record(t, true), peer.record(t, true)); len(found) > 0 {
		t.Errorf("found %v", found)
	}
}

func TestCallsAboutNoVolumeHaveNoOrder(t *testing.T) {
	own, peer := twoWorlds()
	capacity := func(zone string) control.Call {
		return control.Call{Method: "GetCapacity", Request: json.RawMessage(`{"accessibleTopology":{"segments":{"zone":"` + zone + `"}}}`)}
	}
	own.calls[0].VolumeID, peer.calls[0].VolumeID = "", "" // not made yet
	own.calls = append(own.calls, capacity("a"), capacity("b"), capacity("a"))
	peer.calls = append(peer.calls, capacity("b"), capacity("a"))
	if found := Diff(own.record(t, true), peer.record(t, true)); len(found) > 0 {
		t.Errorf("found %v", found)
	}
	peer.calls = append(peer.calls, capacity("c"))
	if found := Diff(own.record(t, true), peer.record(t, true)); len(found) != 1 {
		t.Errorf("a request that only one side has sent: found %v", found)
	}
}
