package suite

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
)

// The tests of this file are of those who write records that the sidecar has not written,
// or bring old ones back: see docs/adr/0008-records.md.

// zip is a value of the journal that nobody has signed.
func (s *scene) zip(record any) []byte {
	s.Helper()
	text, err := json.Marshal(record)
	s.must(err)
	var buffer bytes.Buffer
	writer := gzip.NewWriter(&buffer)
	_, err = writer.Write(text)
	s.must(err)
	s.must(writer.Close())
	return buffer.Bytes()
}

// record decodes what a batch has of a claim, to be changed.
func (s *scene) record(batch corev1.ConfigMap, claim types.UID) map[string]any {
	s.Helper()
	record := map[string]any{}
	s.must(json.Unmarshal([]byte(s.unzip(batch.BinaryData[string(claim)])), &record))
	return record
}

// putBatch writes a batch, as whoever may create ConfigMaps can.
func (s *scene) putBatch(name string, content map[string][]byte) {
	s.Helper()
	_, err := shared.Client.CoreV1().ConfigMaps("default").Create(s.ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"csi-provisioner/journal": s.driver.Name}},
		BinaryData: content,
	}, metav1.CreateOptions{})
	s.must(err)
	s.Cleanup(func() {
		_ = shared.Client.CoreV1().ConfigMaps("default").Delete(s.T.Context(), name, metav1.DeleteOptions{})
	})
}

// lived has a claim get its volume by way of a crash, so that there is a record to begin
// with, and returns it as it was.
func (s *scene) lived(class string) (*corev1.PersistentVolumeClaim, *corev1.PersistentVolume, corev1.ConfigMap) {
	s.Helper()
	claim := s.killedIn(class)
	batches := s.batches()
	if len(batches) != 1 {
		s.Fatalf("there are %d batches of the journal", len(batches))
	}
	sidecar := s.namedSidecar("heir-" + s.id)
	volume := s.boundToOne(claim)
	s.journalEmpty()
	s.must(sidecar.Kill())
	return claim, volume, batches[0]
}

// unharmed fails if the volume with that handle was, or is to be, deleted.
func (s *scene) unharmed(handle string) {
	s.Helper()
	calls, err := s.driver.Control.Calls(s.ctx, control.Filter{})
	s.must(err)
	for _, call := range calls {
		if call.Method == "DeleteVolume" && call.VolumeID == handle {
			s.Errorf("DeleteVolume was called for %s", handle)
		}
	}
}

// moved has a volume be retained, and its PersistentVolume be that of nobody, under
// another name: as docs/expand-secrets.md describes, or after a disaster.
func (s *scene) moved(claim *corev1.PersistentVolumeClaim, volume *corev1.PersistentVolume) *corev1.PersistentVolume {
	s.Helper()
	client := shared.Client.CoreV1().PersistentVolumes()
	patch := []byte(`{"metadata":{"finalizers":null},"spec":{"persistentVolumeReclaimPolicy":"Retain"}}`)
	_, err := client.Patch(s.ctx, volume.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	s.must(err)
	s.deleteClaim(claim.Name)
	s.claimGone(claim.Name)
	s.must(client.Delete(s.ctx, volume.Name, metav1.DeleteOptions{}))
	s.until("the PersistentVolume is gone", func() (bool, error) {
		all, err := client.List(s.ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + volume.Name})
		return err == nil && len(all.Items) == 0, err
	})
	again := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "static-" + s.id}, Spec: volume.Spec}
	again.Spec.PersistentVolumeReclaimPolicy = corev1.PersistentVolumeReclaimRetain
	again.Spec.ClaimRef = &corev1.ObjectReference{Kind: "PersistentVolumeClaim", Namespace: s.id, Name: "to-come"}
	again, err = client.Create(s.ctx, again, metav1.CreateOptions{})
	s.must(err)
	s.Cleanup(func() { _ = client.Delete(s.T.Context(), again.Name, metav1.DeleteOptions{}) })
	return again
}

// TestForgedRecords: what somebody else than the sidecar has written is set aside, counted
// and told of, and has nothing done to the volume that it names.
func TestForgedRecords(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	victim, volume, genuine := s.lived(s.class("sc", nil, "reclaimPolicy: Delete"))
	handle := volume.Spec.CSI.VolumeHandle

	// An attacker's claim, or none, and the victim's volume, to be deleted or given away,
	// with a Secret that is none of theirs.
	forge := func(uid string, change func(record map[string]any)) []byte {
		record := s.record(genuine, victim.UID)
		record["claim"] = map[string]any{"namespace": s.id, "name": "attacker", "uid": uid}
		for _, plan := range record["plans"].([]any) {
			plan.(map[string]any)["secret"] = map[string]any{"Namespace": "kube-system", "Name": "admin"}
		}
		change(record)
		return s.zip(record)
	}
	s.putBatch("forged-"+s.id, map[string][]byte{
		"deleted": forge("deleted", func(record map[string]any) { record["useless"] = handle }),
		"given":   forge("given", func(map[string]any) {}),
		string(victim.UID): forge(string(victim.UID), func(record map[string]any) {
			record["claim"] = map[string]any{"namespace": s.id, "name": victim.Name, "uid": string(victim.UID)}
			record["useless"] = handle
		}),
		"bomb":     bytes.Repeat([]byte{0x1f}, 100),
		"topology": genuine.BinaryData["topology"],
	})
	sidecar := s.namedSidecar("next-" + s.id)
	t.Log(s.event("default", "next-"+s.id, "JournalRecordSetAside", "not signed by this installation"))
	// Others go on.
	s.boundToOne(s.claim("other", s.id+"-sc"))
	s.unharmed(handle)
	if n := len(s.volumesOf(victim)); n != 1 {
		t.Errorf("the victim has %d volumes", n)
	}
	_, metrics, err := sidecar.Get("/metrics")
	s.must(err)
	if !strings.Contains(metrics, `csi_provisioner_journal_intents{state="set-aside"} 3`) {
		t.Error("the metric does not count 3 records that are set aside")
	}
	for _, batch := range s.batches() {
		if batch.Name == "forged-"+s.id && len(batch.BinaryData) != 5 {
			t.Errorf("%d forged keys are left, want 5", len(batch.BinaryData))
		}
	}
}

// TestRestoredRecord: a record comes back from a backup when its claim has gone, and its
// volume belongs to a PersistentVolume of another name.
func TestRestoredRecord(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	claim, volume, genuine := s.lived(s.class("sc", nil, "reclaimPolicy: Delete"))
	static := s.moved(claim, volume)
	s.putBatch(genuine.Name, genuine.BinaryData)
	s.namedSidecar("next-" + s.id)
	s.journalEmpty()
	s.unharmed(volume.Spec.CSI.VolumeHandle)
	if _, err := shared.Client.CoreV1().PersistentVolumes().Get(s.ctx, static.Name, metav1.GetOptions{}); err != nil {
		t.Errorf("the PersistentVolume: %v", err)
	}
}

// TestRecordOfAnOlderVersion: it is not signed, and counts as its claim confirms it.
func TestRecordOfAnOlderVersion(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	claim := s.killedIn(s.class("sc", nil))
	genuine := s.batches()[0]
	record := s.record(genuine, claim.UID)
	for _, field := range []string{"of", "written", "forgotten", "replaces"} {
		delete(record, field)
	}
	content := genuine.BinaryData
	content[string(claim.UID)] = s.zip(record)
	s.must(shared.Client.CoreV1().ConfigMaps("default").Delete(s.ctx, genuine.Name, metav1.DeleteOptions{}))
	s.putBatch("old-"+s.id, content)
	s.namedSidecar("next-" + s.id)
	s.boundToOne(claim)
	s.journalEmpty()
	if n := len(s.volumesOf(claim)); n != 1 {
		t.Errorf("the claim has %d volumes", n)
	}
}
