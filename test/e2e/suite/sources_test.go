package suite

import (
	"fmt"
	"path/filepath"
	"testing"

	"google.golang.org/grpc/codes"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
)

// TestRestoreAndCloneHaveTheData: with real volumes, as pods see them.
func TestRestoreAndCloneHaveTheData(t *testing.T) {
	t.Parallel()
	s := realVolumes(t)
	s.sidecar(soon)
	class := s.class("class", nil)
	original := s.claim("original", class)
	file := filepath.Join(s.fileSystemOf(original), greeting)
	s.write(file, "of the snapshot")
	s.snapshot("daily", s.takeSnapshot("daily", s.bound("original")))
	s.write(file, "of the clones")
	clone := s.claim("clone", class, ofClaim("original"))
	reference := s.claim("reference", class, byReference(ofClaim("original"), ""), sized("2Gi"))
	s.boundToOne(clone)
	s.boundToOne(reference)
	s.write(file, "of the original")
	restored := s.claim("restored", class, ofSnapshot("daily"), sized("2Gi"))

	for claim, text := range map[*corev1.PersistentVolumeClaim]string{restored: "of the snapshot", clone: "of the clones", reference: "of the clones"} {
		path := s.fileSystemOf(claim)
		s.holds(filepath.Join(path, greeting), text)
		s.write(filepath.Join(path, "own"), "writable")
	}
	s.holds(file, "of the original")
	if from := s.volumesOf(restored)[0]; from.SourceSnapshot == "" {
		t.Errorf("the restored volume is made from %+v", from)
	}
	s.freed("daily")
	s.clonesEnd("original")
	for _, claim := range []*corev1.PersistentVolumeClaim{restored, clone, reference, original} {
		s.endOfVolume(claim, s.bound(claim.Name))
	}
}

// TestBlockRestoreAndModeConversion: a device, and what becomes of it as a file
// system: refused until the content allows it.
func TestBlockRestoreAndModeConversion(t *testing.T) {
	t.Parallel()
	s := realVolumes(t)
	s.sidecar(soon)
	class := s.class("class", nil)
	original := s.claim("original", class)
	s.write(filepath.Join(s.fileSystemOf(original), greeting), "hello")
	handle := s.takeSnapshot("daily", s.bound("original"))
	s.snapshot("daily", handle, func(content *unstructured.Unstructured) {
		s.must(unstructured.SetNestedField(content.Object, "Filesystem", "spec", "sourceVolumeMode"))
	})
	device := s.claim("device", class, ofSnapshot("daily"), block)
	t.Log(s.warning("device", "spec.volumeMode is Block", "snapshot.storage.kubernetes.io/allow-volume-mode-change"))
	s.untouched(device)
	s.claim("same", class, ofSnapshot("daily"))
	s.bound("same")

	_, contents := s.snapshotKinds()
	_, err := contents.Patch(s.ctx, "content-"+s.id+"-daily", types.MergePatchType,
		[]byte(`{"metadata":{"annotations":{"snapshot.storage.kubernetes.io/allow-volume-mode-change":"true"}}}`), metav1.PatchOptions{})
	s.must(err)
	path := s.deviceOf(device)
	s.isDevice(path, 1<<30)
	s.holds(path, "XFSB")
	s.endOfVolume(device, s.bound("device"))

	// From a device to a device there is nothing to allow.
	blocks := s.claim("blocks", class, block)
	path = s.deviceOf(blocks)
	s.write(path, "written to the device")
	copied := s.claim("copied", class, ofClaim("blocks"), block)
	s.holds(s.deviceOf(copied), "written to the device")
	s.endOfVolume(copied, s.bound("copied"))
	s.endOfVolume(blocks, s.bound("blocks"))
}

// TestModeConversionNotPrevented: without the flag nobody is asked.
func TestModeConversionNotPrevented(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.sidecar(soon, "--prevent-volume-mode-conversion=false")
	class := s.class("class", nil)
	original := s.claim("original", class)
	s.snapshot("daily", s.takeSnapshot("daily", s.boundToOne(original)), func(content *unstructured.Unstructured) {
		s.must(unstructured.SetNestedField(content.Object, "Filesystem", "spec", "sourceVolumeMode"))
	})
	s.boundToOne(s.claim("device", class, ofSnapshot("daily"), block))
}

// TestClaimsWaitForSources: a claim goes on as soon as what it waits for is there,
// whatever the back-off.
func TestClaimsWaitForSources(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.sidecar(patient, mostPatient)
	class := s.class("class", nil)
	original := s.claim("original", class)
	handle := s.takeSnapshot("daily", s.boundToOne(original))

	early := s.claim("early", class, ofSnapshot("daily"))
	t.Log(s.warning("early", "VolumeSnapshot "+s.id+"/daily does not exist"))
	s.snapshot("daily", handle)
	s.boundToOne(early)

	s.snapshotStatus("daily", map[string]any{"boundVolumeSnapshotContentName": "content-" + s.id + "-daily", "readyToUse": false})
	unready := s.claim("unready", class, ofSnapshot("daily"))
	t.Log(s.warning("unready", "is not ready to use yet"))
	s.snapshotStatus("daily", map[string]any{"boundVolumeSnapshotContentName": "content-" + s.id + "-daily", "readyToUse": true})
	s.boundToOne(unready)

	clone := s.claim("clone", class, ofClaim("late"))
	t.Log(s.warning("clone", "late, which is to be cloned, does not exist"))
	s.boundToOne(s.claim("late", class))
	s.boundToOne(clone)
	s.freed("daily")
	s.clonesEnd("late")
	s.journalEmpty()
}

// TestRefusedSources: what can't be a source is told on the claim, and the driver is
// not asked.
func TestRefusedSources(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.sidecar(soon)
	class := s.class("class", nil)
	original := s.claim("original", class, sized("2Gi"))
	handle := s.takeSnapshot("daily", s.boundToOne(original))
	s.snapshot("daily", handle)
	s.snapshot("foreign", handle, func(content *unstructured.Unstructured) {
		s.must(unstructured.SetNestedField(content.Object, "other.example", "spec", "driver"))
	})
	s.snapshot("stolen", handle, func(content *unstructured.Unstructured) {
		s.must(unstructured.SetNestedField(content.Object, "somebody-else", "spec", "volumeSnapshotRef", "uid"))
	})
	s.snapshot("deleted", handle)
	s.addFinalizer("deleted", "example.com/keep")
	s.deleteSnapshot("deleted")
	s.Cleanup(func() { s.dropFinalizers("deleted") })
	for name, c := range map[string]struct {
		source func(*corev1.PersistentVolumeClaim)
		size   string
		says   string
	}{
		"foreign": {ofSnapshot("foreign"), "2Gi", `one of CSI driver "other.example"`},
		"stolen":  {ofSnapshot("stolen"), "2Gi", "is that of another snapshot"},
		"deleted": {ofSnapshot("deleted"), "2Gi", "is being deleted"},
		"small":   {ofSnapshot("daily"), "1023Mi", "needs 1Gi"},
		"tiny":    {ofClaim("original"), "1Gi", "has 2Gi"},
		"device":  {func(claim *corev1.PersistentVolumeClaim) { ofClaim("original")(claim); block(claim) }, "2Gi", "spec.volumeMode is Block"},
	} {
		claim := s.claim(name, class, c.source, sized(c.size))
		t.Log(s.warning(name, c.says))
		s.untouched(claim)
	}
	populated := s.claim("populated", class, byReference(func(claim *corev1.PersistentVolumeClaim) {
		group := "example.com"
		claim.Spec.DataSource = &corev1.TypedLocalObjectReference{APIGroup: &group, Kind: "Dataset", Name: "weather"}
	}, ""))
	s.event(s.id, "populated", "Provisioning", "Waiting for a volume populator")
	s.untouched(populated)
	if finalizers, _ := s.finalizers("foreign"); len(finalizers) > 0 {
		t.Errorf("the foreign snapshot has the finalizers %q", finalizers)
	}
}

// dropFinalizers lets a VolumeSnapshot go.
func (s *scene) dropFinalizers(name string) {
	s.Helper()
	snapshots, _ := s.snapshotKinds()
	_, _ = snapshots.Patch(s.ctx, name, types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
}

// TestOneRestoreDoesNotEndAnothersProtection: the finalizer stays until the last
// restore is done, whatever becomes of the snapshot.
func TestOneRestoreDoesNotEndAnothersProtection(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.sidecar(soon)
	class := s.class("class", nil)
	s.originalOf(class)
	release := s.rule(control.Rule{ID: "slow", Match: control.Match{Method: "CreateVolume"}, When: control.Before, Hang: true, Count: 1})
	slow := s.claim("slow", class, ofSnapshot("daily"))
	s.reached("slow")
	quick := s.claim("quick", class, ofSnapshot("daily"))
	s.boundToOne(quick)
	s.protected("daily")
	s.deleteSnapshot("daily")
	// Another one comes and goes while it is being deleted: so there was time.
	late := s.claim("late", class, ofSnapshot("daily"))
	s.boundToOne(late)
	s.protected("daily")
	release()
	s.boundToOne(slow)
	s.freed("daily")
}

// TestSourceClaimIsKeptWhileItIsCloned: by either field, and by the last clone.
func TestSourceClaimIsKeptWhileItIsCloned(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.sidecar(soon)
	class := s.class("class", nil)
	original := s.claim("original", class)
	volume := s.boundToOne(original)
	release := s.rule(control.Rule{ID: "slow", Match: control.Match{Method: "CreateVolume"}, When: control.Before, Hang: true, Count: 1})
	slow := s.claim("slow", class, byReference(ofClaim("original"), ""))
	s.reached("slow")
	s.boundToOne(s.claim("quick", class, ofClaim("original")))
	s.deleteClaim("original")
	refused := s.claim("refused", class, ofClaim("original"))
	s.warning("refused", "is being deleted")
	if cloned, exists := s.isCloned("original"); !cloned || !exists {
		t.Errorf("the source exists: %t, kept for clones: %t", exists, cloned)
	}
	s.deleteClaim("refused")
	s.untouched(refused)
	release()
	s.boundToOne(slow)
	s.claimGone("original")
	s.volumeGone(volume.Name)
}

// TestRestoreWhileAllIsDeleted: a restore whose call takes too long, and whose claim
// and snapshot are deleted meanwhile, is finished and undone, and the snapshot goes
// after it.
func TestRestoreWhileAllIsDeleted(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.sidecar(soon)
	class := s.class("class", nil)
	s.originalOf(class)
	release := s.rule(control.Rule{ID: "late", Match: control.Match{Method: "CreateVolume"}, When: control.After, Code: codes.DeadlineExceeded, Message: "the array is slow"})
	claim := s.claim("c", class, ofSnapshot("daily"))
	s.warning("c", "the array is slow")
	s.deleteSnapshot("daily")
	s.warnings(3, "c", "the array is slow")
	s.deleteClaim("c")
	s.claimGone("c")
	s.protected("daily")
	if n := len(s.volumesOf(claim)); n != 1 {
		t.Errorf("the driver has %d volumes", n)
	}
	release()
	s.nothingLeft(claim)
	s.freed("daily")
	s.allTheSame(s.requests(claim), 4)
	s.journalEmpty()
}

// TestCrashWhileRestoring: the same with a sidecar that is killed: the next one knows
// from the journal which snapshot must stay, and the sweep does not take it away.
func TestCrashWhileRestoring(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	sidecar := s.sidecar()
	class := s.class("class", nil)
	s.originalOf(class)
	release := s.rule(control.Rule{ID: "made", Match: control.Match{Method: "CreateVolume"}, When: control.After, Hang: true, Count: 1})
	claim := s.claim("c", class, ofSnapshot("daily"))
	s.reached("made")
	s.until("the volume is made", func() (bool, error) { return len(s.volumesOf(claim)) == 1, nil })
	s.must(sidecar.Kill())
	release()
	s.deleteClaim("c")
	s.claimGone("c")
	s.deleteSnapshot("daily")
	s.protected("daily")

	release = s.rule(control.Rule{ID: "again", Match: control.Match{Method: "CreateVolume"}, When: control.Before, Hang: true, Count: 1})
	s.namedSidecar("next-"+s.id, "--snapshot-orphan-sweep-interval=100ms")
	s.reached("again")
	// Another orphan is swept meanwhile: so there was a sweep.
	s.snapshot("orphan", "snap-0123456789abcdef")
	s.addFinalizer("orphan", restoreFinalizer)
	s.freed("orphan")
	s.protected("daily")
	release()
	s.nothingLeft(claim)
	s.freed("daily")
	s.allTheSame(s.requests(claim), 2)
	s.journalEmpty()
}

// TestOrphans: what others have left is freed, but not another driver's, nor what a
// claim still waits for.
func TestOrphans(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	sidecar := s.sidecar()
	class := s.class("class", nil)
	original := s.claim("original", class)
	handle := s.takeSnapshot("daily", s.boundToOne(original))
	s.must(sidecar.Kill())
	s.changeClaim("original", func(claim *corev1.PersistentVolumeClaim) { claim.Finalizers = append(claim.Finalizers, cloneFinalizer) })
	for _, name := range []string{"left", "foreign", "awaited"} {
		s.snapshot(name, handle, func(content *unstructured.Unstructured) {
			if name == "foreign" {
				s.must(unstructured.SetNestedField(content.Object, "other.example", "spec", "driver"))
			}
		})
		s.addFinalizer(name, restoreFinalizer)
		s.Cleanup(func() { s.dropFinalizers(name) })
	}
	s.snapshotStatus("awaited", map[string]any{"boundVolumeSnapshotContentName": "content-" + s.id + "-awaited", "readyToUse": false})
	waiting := s.claim("waiting", class, ofSnapshot("awaited"))

	s.namedSidecar("next-"+s.id, soon, "--snapshot-orphan-sweep-interval=100ms")
	s.freed("left")
	s.clonesEnd("original")
	s.warning("waiting", "is not ready to use yet")
	s.addFinalizer("left", restoreFinalizer) // Another round.
	s.freed("left")
	s.protected("foreign")
	s.protected("awaited")
	s.deleteClaim("waiting")
	s.freed("awaited")
	s.untouched(waiting)
}

// TestOtherNamespaces: a source of another namespace takes the gate and a grant, and
// the claim goes on as soon as that is made.
func TestOtherNamespaces(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	other := *s
	other.id = s.id + "-b"
	s.apply("apiVersion: v1\nkind: Namespace\nmetadata: {name: " + other.id + "}")
	sidecar := s.sidecar(soon)
	class := s.class("class", nil)
	original := other.originalOf(class)
	for name, source := range map[string]func(*corev1.PersistentVolumeClaim){"snapshot": ofSnapshot("daily"), "claim": ofClaim("original")} {
		off := s.claim("off-"+name, class, byReference(source, other.id))
		t.Log(s.warning("off-"+name, "--feature-gates=CrossNamespaceVolumeDataSource=true"))
		s.untouched(off)
	}
	s.must(sidecar.Kill())

	s.namedSidecar("next-"+s.id, patient, mostPatient, "--feature-gates=CrossNamespaceVolumeDataSource=true")
	var claims []*corev1.PersistentVolumeClaim
	for name, source := range map[string]func(*corev1.PersistentVolumeClaim){"snapshot": ofSnapshot("daily"), "claim": ofClaim("original")} {
		claim := s.claim("on-"+name, class, byReference(source, other.id))
		t.Log(s.warning("on-"+name, "no ReferenceGrant of namespace \""+other.id+"\""))
		s.untouched(claim)
		claims = append(claims, claim)
	}
	s.apply(fmt.Sprintf(`
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: sources, namespace: %s}
spec:
  from: [{group: "", kind: PersistentVolumeClaim, namespace: %s}]
  to: [{group: snapshot.storage.k8s.io, kind: VolumeSnapshot, name: daily}, {group: "", kind: PersistentVolumeClaim}]
`, other.id, s.id))
	for _, claim := range claims {
		s.boundToOne(claim)
	}
	other.freed("daily")
	other.clonesEnd(original.Name)
	s.journalEmpty()
}

// TestSourcesWithFewRights: with the rights that external-provisioner's role calls
// optional left out, snapshots are restored all the same.
func TestSourcesWithFewRights(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	class := s.class("class", nil)
	sidecar := s.sidecar()
	s.originalOf(class)
	s.must(sidecar.Kill())
	few := s.namedSidecar("few-"+s.id, soon, "--controllers=provisioner", "--kubeconfig="+s.restricted(t, "few", "get"))
	s.boundToOne(s.claim("few", class, ofSnapshot("daily")))
	if finalizers, _ := s.finalizers("daily"); len(finalizers) > 0 {
		t.Errorf("the snapshot has the finalizers %q", finalizers)
	}
	s.must(few.Kill())
	s.namedSidecar("update-"+s.id, soon, "--controllers=provisioner", "--kubeconfig="+s.restricted(t, "update", "get, update"))
	release := s.rule(control.Rule{ID: "held", Match: control.Match{Method: "CreateVolume"}, When: control.Before, Hang: true, Count: 1})
	claim := s.claim("update", class, ofSnapshot("daily"))
	s.reached("held")
	s.protected("daily")
	release()
	s.boundToOne(claim)
	s.freed("daily")
	none := s.claim("none", class, ofSnapshot("missing"))
	s.warning("none", "does not exist")
	s.untouched(none)
}

// TestUselessAnswers: a volume without the data that were asked for is deleted.
func TestUselessAnswers(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.sidecar(soon)
	class := s.class("class", nil)
	s.originalOf(class)
	remove := s.rule(control.Rule{ID: "empty", Match: control.Match{Method: "CreateVolume"}, Response: []byte(`{"volume":{"contentSource":null}}`)})
	claim := s.claim("c", class, ofSnapshot("daily"))
	t.Log(s.warning("c", "from nothing where one from a snapshot was requested"))
	remove()
	s.boundToOne(claim)
	s.freed("daily")
}

// TestDriversThatCanNotCopy: a driver without the capabilities is not asked.
func TestDriversThatCanNotCopy(t *testing.T) {
	t.Parallel()
	s := newScene(t, "--controller-capabilities=*,-CREATE_DELETE_SNAPSHOT,-LIST_SNAPSHOTS,-CLONE_VOLUME")
	s.sidecar(soon)
	class := s.class("class", nil)
	s.boundToOne(s.claim("original", class))
	for name, c := range map[string]struct {
		source func(*corev1.PersistentVolumeClaim)
		says   string
	}{
		"restored": {ofSnapshot("daily"), "CREATE_DELETE_SNAPSHOT"}, "cloned": {ofClaim("original"), "CLONE_VOLUME"},
	} {
		claim := s.claim(name, class, c.source)
		t.Log(s.warning(name, c.says))
		s.untouched(claim)
	}
}
