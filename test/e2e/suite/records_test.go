package suite

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/proxy"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/records"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/stage"
)

// The tests of this file are of those who write records that the sidecar has not written,
// or bring old ones back: see docs/adr/0008-records.md.

// referTo is the reference to a claim.
func referTo(claim *corev1.PersistentVolumeClaim) corev1.ObjectReference {
	return corev1.ObjectReference{Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID}
}

// record reads what a batch has of a claim, to be changed.
func (s *scene) record(batch corev1.ConfigMap, claim types.UID) records.Record {
	s.Helper()
	record, err := records.Read(batch.BinaryData[string(claim)])
	s.must(err)
	return record
}

// value is what came of writing a record.
func (s *scene) value(value []byte, err error) []byte {
	s.Helper()
	s.must(err)
	return value
}

// putBatch writes a batch, as whoever may create ConfigMaps can.
func (s *scene) putBatch(name string, content map[string][]byte, node ...string) {
	s.Helper()
	labels := map[string]string{"csi-provisioner/journal": s.driver.Name}
	for _, node := range node {
		labels["csi-provisioner/journal-node"] = node
	}
	_, err := shared.Client.CoreV1().ConfigMaps("default").Create(s.ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		BinaryData: content,
	}, metav1.CreateOptions{})
	s.must(err)
	s.Cleanup(func() {
		_ = shared.Client.CoreV1().ConfigMaps("default").Delete(context.WithoutCancel(s.ctx), name, metav1.DeleteOptions{})
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

// orphaned returns a claim that is gone, the volume of which has neither a PersistentVolume
// nor a record, and the record that there was.
func (s *scene) orphaned() (*corev1.PersistentVolumeClaim, corev1.ConfigMap) {
	s.Helper()
	claim := s.killedIn(s.class("sc", nil, "reclaimPolicy: Delete"))
	genuine := s.batches()[0]
	s.must(shared.Client.CoreV1().ConfigMaps("default").Delete(s.ctx, genuine.Name, metav1.DeleteOptions{}))
	s.deleteClaim(claim.Name)
	s.claimGone(claim.Name)
	return claim, genuine
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
	s.Cleanup(func() { _ = client.Delete(context.WithoutCancel(s.ctx), again.Name, metav1.DeleteOptions{}) })
	return again
}

// victims are volumes whose sidecar is gone, by their names, with their handles.
func (s *scene) victims() map[string]string {
	s.Helper()
	victims := map[string]string{}
	note := func(volume *corev1.PersistentVolume) { victims[volume.Name] = volume.Spec.CSI.VolumeHandle }
	sidecar := s.namedSidecar("builder-" + s.id)
	class := s.class("victims", nil, "reclaimPolicy: Delete")
	bound := s.originalOf(class)
	original := s.bound(bound.Name)
	note(original)

	s.claim("restored", class, ofSnapshot("daily"))
	note(s.bound("restored"))

	s.claim("released", s.class("kept", nil, "reclaimPolicy: Retain"))
	released := s.bound("released")
	note(released)
	s.deleteClaim("released")
	s.claimGone("released")

	static := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "by-hand-" + s.id}, Spec: *released.Spec.DeepCopy()}
	static.Spec.CSI.VolumeHandle, static.Spec.ClaimRef = s.stray("by-hand"), nil
	static, err := shared.Client.CoreV1().PersistentVolumes().Create(s.ctx, static, metav1.CreateOptions{})
	s.must(err)
	s.Cleanup(func() {
		for name := range victims {
			_ = shared.Client.CoreV1().PersistentVolumes().Delete(context.WithoutCancel(s.ctx), name, metav1.DeleteOptions{})
		}
	})
	note(static)
	s.journalEmpty()
	s.must(sidecar.Kill())
	return victims
}

// TestForgedRecords: what somebody else than the sidecar has written is set aside, counted
// and told of. Nothing is done to the volume that it names, whatever PersistentVolume it
// has, nobody else gets it, and no Secret is read.
func TestForgedRecords(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	claim, volume, genuine := s.lived(s.class("sc", nil, "reclaimPolicy: Delete"))
	victims := s.victims()
	victims[volume.Name] = volume.Spec.CSI.VolumeHandle
	attacker := s.claim("attacker", s.id+"-sc")
	forged := map[string][]byte{"bomb": bytes.Repeat([]byte{0x1f}, 100), "topology": genuine.BinaryData["topology"]}
	for name, handle := range victims {
		attack, err := records.Attack(genuine.BinaryData[string(claim.UID)], referTo(attacker), name, handle)
		s.must(err)
		maps.Copy(forged, attack)
	}
	s.putBatch("forged-"+s.id, forged)
	seen, err := s.driver.Control.Calls(s.ctx, control.Filter{})
	s.must(err)

	through := s.proxied()
	sidecar := s.namedSidecar("next-"+s.id, stage.Through(through))
	t.Log(s.event("default", "next-"+s.id, "JournalRecordSetAside", "not signed by this installation"))
	own := s.bound(attacker.Name)
	for name, handle := range victims {
		if own.Name == name || own.Spec.CSI.VolumeHandle == handle {
			t.Errorf("the attacker's claim has got volume %s (%s)", name, handle)
		}
	}
	calls, err := s.driver.Control.Calls(s.ctx, control.Filter{After: seen[len(seen)-1].Seq})
	s.must(err)
	for _, call := range calls {
		if call.Method == "DeleteVolume" || call.Method == "CreateVolume" && call.VolumeName != own.Name {
			t.Errorf("the driver was called: %s for %s", call.Method, cmp.Or(call.VolumeID, call.VolumeName))
		}
	}
	for _, path := range through.Reads(proxy.Match{Path: "/secrets"}) {
		if !strings.Contains(path, "/namespaces/default/secrets/csi-provisioner-journal-key") {
			t.Errorf("a Secret was read: %s", path)
		}
	}
	_, metrics, err := sidecar.Get("/metrics")
	s.must(err)
	// The attacker has one key, and the bomb is none that can be read.
	if want := fmt.Sprintf(`csi_provisioner_journal_intents{state="set-aside"} %d`, len(forged)-2); !strings.Contains(metrics, want) {
		t.Errorf("the metrics lack %s", want)
	}
	for _, batch := range s.batches() {
		if batch.Name == "forged-"+s.id && len(batch.BinaryData) != len(forged) {
			t.Errorf("%d forged keys are left, want %d", len(batch.BinaryData), len(forged))
		}
	}
	for name := range victims {
		if _, err := shared.Client.CoreV1().PersistentVolumes().Get(s.ctx, name, metav1.GetOptions{}); err != nil {
			t.Errorf("PersistentVolume %s: %v", name, err)
		}
	}
}

// TestForgedRecordsOfANode: in node deployment, too.
func TestForgedRecordsOfANode(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2, func(int) []string { return nil })
	first := f.nodes[0]
	through := f.proxied()
	f.startAt(first, quick(stage.Through(through))...)
	claim, release := f.reachVolume(through, f.class("sc", nil))
	f.must(first.sidecar.Kill())
	release()
	genuine := f.batches()[0]
	f.startAt(first, quick()...)
	volume := f.bound(claim.Name)
	f.journalEmpty()
	f.must(first.sidecar.Kill())
	for n, node := range []string{genuine.Labels["csi-provisioner/journal-node"], f.nodes[1].name} {
		forged, err := records.Attack(genuine.BinaryData[string(claim.UID)], referTo(claim), volume.Name, volume.Spec.CSI.VolumeHandle)
		f.must(err)
		forged["topology"] = genuine.BinaryData["topology"]
		f.putBatch(fmt.Sprintf("forged-%s-%d", f.id, n), forged, node)
	}
	for _, m := range f.nodes {
		f.startAt(m, quick()...)
		f.event("default", m.sidecar.Name(), "JournalRecordSetAside", "not signed by this installation")
	}
	f.boundAt(f.claim("other", f.class("other", nil)))
	f.unharmed(volume.Spec.CSI.VolumeHandle)
	if calls := f.callsAt(f.nodes[1], "DeleteVolume", claim); len(calls) > 0 {
		t.Errorf("DeleteVolume was called at the other node: %+v", calls)
	}
}

// TestRecordsOfOthers: records of another cluster, signed by the key that was copied with
// them, as when a whole namespace is restored elsewhere; of another namespace; and of
// another driver.
func TestRecordsOfOthers(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	claim, genuine := s.orphaned()
	key, err := shared.Client.CoreV1().Secrets("default").Get(s.ctx, "csi-provisioner-journal-key", metav1.GetOptions{})
	s.must(err)
	content := map[string][]byte{}
	for what, uid := range map[string]string{"cluster": "of-a-cluster", "namespace": "of-a-namespace", "driver": "of-a-driver"} {
		record := s.record(genuine, claim.UID)
		record["claim"].(map[string]any)["uid"] = uid
		record["of"].(map[string]any)[what] = "elsewhere"
		content[uid] = s.value(records.Signed(key.Data["key"], "signed-"+s.id, uid, record))
	}
	if terms, ok := genuine.BinaryData["topology"]; ok {
		content["topology"] = s.value(records.Signed(key.Data["key"], "signed-"+s.id, "topology", json.RawMessage(s.unzip(terms))))
	}
	s.putBatch("signed-"+s.id, content)
	s.namedSidecar("next-" + s.id)
	for _, what := range []string{"cluster", "namespace", "driver"} {
		s.event("default", "next-"+s.id, "JournalRecordSetAside", "it is of another "+what)
	}
	s.boundToOne(s.claim("other", s.id+"-sc"))
	if n := len(s.volumesOf(claim)); n != 1 {
		t.Errorf("the driver has %d volumes of the claim, which are not this installation's to delete", n)
	}
}

// TestTwoInstallations: two of one driver, in two namespaces, do not heed each other's
// records.
func TestTwoInstallations(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	claim := s.killedIn(s.class("sc", nil, "reclaimPolicy: Delete"))
	s.deleteClaim(claim.Name)
	s.claimGone(claim.Name)
	s.apply(fmt.Sprintf(`
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: second, namespace: %[1]s}
subjects:
- {kind: ServiceAccount, name: csi-provisioner, namespace: default}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: admin}
`, s.id))
	// Somebody copies the record, too.
	genuine := s.batches()[0]
	_, err := shared.Client.CoreV1().ConfigMaps(s.id).Create(s.ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: genuine.Name, Labels: genuine.Labels}, BinaryData: genuine.BinaryData,
	}, metav1.CreateOptions{})
	s.must(err)
	second, err := shared.StartSidecarIn(s.ctx, s.id, "second-"+s.id, s.driver, "--retry-interval-max=2s")
	s.must(err)
	s.Cleanup(func() { _ = second.Kill() })
	s.must(second.WaitReady(s.ctx))
	s.event(s.id, "second-"+s.id, "JournalRecordSetAside", "not signed by this installation")
	s.boundToOne(s.claim("other", s.id+"-sc"))
	if n := len(s.volumesOf(claim)); n != 1 || len(s.batches()) != 1 {
		t.Errorf("the driver has %d volumes of the claim, and the journal of the first installation %d batches", n, len(s.batches()))
	}
	s.must(second.Kill())
	s.namedSidecar("next-" + s.id)
	s.nothingLeft(claim)
	s.journalEmpty()
}

// TestDecisionsOnRecords: a person confirms one record, and discards another.
func TestDecisionsOnRecords(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	claim, genuine := s.orphaned()
	name, made := "aside-"+s.id, "pvc-"+string(claim.UID)
	content := map[string][]byte{
		string(claim.UID): s.value(records.Forge(genuine.BinaryData[string(claim.UID)], records.Forgery{Claim: referTo(claim), Volume: made})),
		"forged":          s.value(records.Forge(genuine.BinaryData[string(claim.UID)], records.Forgery{Claim: corev1.ObjectReference{Namespace: s.id, Name: "nobody", UID: "forged"}, Volume: "pvc-forged"})),
	}
	if terms, ok := genuine.BinaryData["topology"]; ok {
		content["topology"] = terms
	}
	s.putBatch(name, content)
	s.namedSidecar("next-"+s.id, soon)
	report := s.audit(3)
	if len(report.Records) != 2 || report.Records[0].State != "setAside" || report.Records[0].ConfigMap != name || len(report.OpenIntents) > 0 {
		t.Errorf("the audit reports the records %+v and the intents %+v", report.Records, report.OpenIntents)
	}
	decide := func(flag, key string) {
		t.Helper()
		through := s.proxied()
		decision := s.startAudit(through, "--"+flag+"="+name+"/"+key)
		if err := decision.command.Wait(); err != nil {
			t.Errorf("--%s: %v: %s", flag, err, decision.stderr.String())
		}
		t.Log(decision.stdout.String())
	}
	decide("discard", "forged")
	decide("confirm", string(claim.UID))
	if report := s.audit(0); len(report.Records) != 0 {
		t.Errorf("the audit still reports %+v", report.Records)
	}
	// The next process reads the journal at once.
	s.namedSidecar("third-" + s.id)
	s.nothingLeft(claim)
	s.until("the journal is empty", func() (bool, error) { return len(s.batches()) == 0, nil })
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
	content[string(claim.UID)] = s.value(records.Unsigned(record))
	s.must(shared.Client.CoreV1().ConfigMaps("default").Delete(s.ctx, genuine.Name, metav1.DeleteOptions{}))
	s.putBatch("old-"+s.id, content)
	s.namedSidecar("next-" + s.id)
	s.boundToOne(claim)
	s.journalEmpty()
	if n := len(s.volumesOf(claim)); n != 1 {
		t.Errorf("the claim has %d volumes", n)
	}
}
