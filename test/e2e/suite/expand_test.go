package suite

import (
	"encoding/json"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/load"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/proxy"
)

// nodeSecret is the content of the Secret for NodeExpandVolume.
func nodeSecret() map[string]string {
	return map[string]string{"username": "admin", "password": password}
}

// arraySecret is that for ControllerExpandVolume.
func arraySecret() map[string]string { return map[string]string{"token": password + "-array"} }

// nodeExpandSecret and controllerExpandSecret are the parameters of a class that
// name Secrets of the scene's namespace.
func (s *scene) nodeExpandSecret(name string) map[string]string {
	return map[string]string{
		reservedPrefix + "node-expand-secret-name":      name,
		reservedPrefix + "node-expand-secret-namespace": s.id,
	}
}

func (s *scene) controllerExpandSecret(name string) map[string]string {
	return map[string]string{
		reservedPrefix + "controller-expand-secret-name":      name,
		reservedPrefix + "controller-expand-secret-namespace": s.id,
	}
}

func merged(maps ...map[string]string) map[string]string {
	all := map[string]string{}
	for _, one := range maps {
		for key, value := range one {
			all[key] = value
		}
	}
	return all
}

// credentialsFile is the driver's flag by which it expands file systems only with
// these secrets.
func credentialsFile(t *testing.T, secrets map[string]string) string {
	t.Helper()
	content, err := json.Marshal(secrets)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "credentials.json")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return "--expand-credentials-file=" + path
}

// published is where the kubelet has the claim's only pod see the volume.
func (s *scene) published(claim *corev1.PersistentVolumeClaim) string {
	s.Helper()
	have := s.volumesOf(claim)
	if len(have) != 1 || len(have[0].PublishedAt) != 1 {
		s.Fatalf("the driver has %v for claim %s", have, claim.Name)
	}
	return have[0].PublishedAt[0]
}

// fileSystem is the size in bytes that df shows for a path.
func (s *scene) fileSystem(path string) int64 {
	s.Helper()
	var stat syscall.Statfs_t
	s.must(syscall.Statfs(path, &stat))
	return int64(stat.Blocks) * stat.Bsize
}

// nodeExpansions returns the NodeExpandVolume calls for a claim that succeeded.
func (s *scene) nodeExpansions(claim *corev1.PersistentVolumeClaim) []control.Call {
	s.Helper()
	var found []control.Call
	for _, call := range s.callsFor(claim, "NodeExpandVolume") {
		if !call.Finished.IsZero() && call.Code == codes.OK {
			found = append(found, call)
		}
	}
	return found
}

// TestExpandOnline: the heart of the story. A volume that can only be expanded with
// credentials is expanded while a pod uses it.
func TestExpandOnline(t *testing.T) {
	t.Parallel()
	s := realVolumes(t, credentialsFile(t, nodeSecret()))
	s.secret(s.id, "node", nodeSecret())
	s.secret(s.id, "array", arraySecret())
	class := s.expandableClass("sc", merged(s.nodeExpandSecret("node"), s.controllerExpandSecret("array")))
	p := s.proxy()
	s.through(p)
	claim := s.claim("c", class)
	s.bound("c")
	s.pod("user", claim)
	s.running("user")
	path := s.published(claim)
	before := s.fileSystem(path)

	s.ask("c", "2Gi")
	expanded := s.expanded("c", "2Gi")
	after := s.fileSystem(path)
	t.Logf("df in the pod's volume: %d bytes, then %d", before, after)
	if after-before < bytesOf("900Mi") || after > bytesOf("2Gi") {
		t.Errorf("the file system went from %d bytes to %d when the volume was expanded from 1Gi to 2Gi", before, after)
	}
	if _, ok := expanded.Annotations[nodeExpansionNotRequired]; ok {
		t.Errorf("the claim's annotations are %v", expanded.Annotations)
	}

	calls := s.callsFor(claim, "ControllerExpandVolume")
	if diff := cmp.Diff([]int64{bytesOf("2Gi")}, s.expansions(claim)); diff != "" {
		t.Errorf("sizes asked of the controller (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(arraySecret(), calls[0].Secrets); diff != "" {
		t.Errorf("secrets of ControllerExpandVolume (-want +got):\n%s", diff)
	}
	var request csipb.ControllerExpandVolumeRequest
	s.must(calls[0].DecodeRequest(&request))
	if request.GetVolumeId() != s.volumeOf("c").Spec.CSI.VolumeHandle || request.GetCapacityRange().GetLimitBytes() != 0 || request.GetVolumeCapability().GetMount() == nil {
		t.Errorf("the request is %v", &request)
	}
	onNode := s.callsFor(claim, "NodeExpandVolume")
	if len(onNode) != 1 || onNode[0].Code != codes.OK {
		t.Fatalf("NodeExpandVolume was called %v", onNode)
	}
	if diff := cmp.Diff(nodeSecret(), onNode[0].Secrets); diff != "" {
		t.Errorf("secrets of NodeExpandVolume (-want +got):\n%s", diff)
	}
	s.cost(p, claim, 2, 1, map[string]int32{reasonResizing: 1, reasonOnNode: 1})
	s.keepsSecretsInEvents()
}

// cost fails the test unless the sidecar has sent that many patches of a claim
// and of its volume, and these events about it.
func (s *scene) cost(p *proxy.Proxy, claim *corev1.PersistentVolumeClaim, ofClaim, ofVolume int, events map[string]int32) {
	s.Helper()
	for _, reason := range []string{reasonOnNode, reasonResized} {
		if events[reason] > 0 {
			s.event(s.id, claim.Name, reason, "")
		}
	}
	if got := p.Writes(s.patches(claim.Name, "")); len(got) != ofClaim {
		s.Errorf("%d patches of the claim, want %d: %s", len(got), ofClaim, bodies(got))
	}
	if got := p.Writes(volumePatches(claim)); len(got) != ofVolume {
		s.Errorf("%d patches of the volume, want %d: %s", len(got), ofVolume, bodies(got))
	}
	if diff := cmp.Diff(events, s.resizeEvents(claim.Name)); diff != "" {
		s.Errorf("events (-want +got):\n%s", diff)
	}
}

func bodies(writes []proxy.Write) string {
	text := ""
	for _, write := range writes {
		text += "\n" + string(write.Body)
	}
	return text
}

// TestExpandCost: without a node step, too, no more is written than is needed.
func TestExpandCost(t *testing.T) {
	t.Parallel()
	s := newScene(t, inController)
	p := s.proxy()
	s.through(p)
	claim := s.claim("c", s.expandableClass("sc", nil))
	s.bound("c")
	s.ask("c", "2Gi")
	expanded := s.expanded("c", "2Gi")
	if expanded.Annotations[nodeExpansionNotRequired] != "true" {
		t.Errorf("the claim's annotations are %v", expanded.Annotations)
	}
	s.cost(p, claim, 2, 1, map[string]int32{reasonResizing: 1, reasonResized: 1})
}

// TestExpandNodeSecretMissing: the kubelet says what it lacks, and the file system
// is expanded once the Secret is there.
func TestExpandNodeSecretMissing(t *testing.T) {
	t.Parallel()
	s := realVolumes(t, credentialsFile(t, nodeSecret()))
	s.sidecar()
	claim := s.claim("c", s.expandableClass("sc", s.nodeExpandSecret("late")))
	s.bound("c")
	s.pod("user", claim)
	s.running("user")
	before := s.fileSystem(s.published(claim))
	s.ask("c", "2Gi")
	message := s.event(s.id, "user", reasonResizeFailed, `"late" not found`)
	t.Log(message)
	s.volumeHas("c", "2Gi")
	if got := s.nodeExpansions(claim); len(got) != 0 {
		t.Errorf("the node has expanded the volume without the Secret: %v", got)
	}
	s.secret(s.id, "late", nodeSecret())
	s.expanded("c", "2Gi")
	if after := s.fileSystem(s.published(claim)); after-before < bytesOf("900Mi") {
		t.Errorf("the file system went from %d bytes to %d", before, after)
	}
	if got := s.nodeExpansions(claim); len(got) != 1 || !equality.Semantic.DeepEqual(got[0].Secrets, nodeSecret()) {
		t.Errorf("NodeExpandVolume succeeded %v", got)
	}
}

// TestExpandControllerSecretMissing: the sidecar says what it lacks and how to
// help, leaves the claim's status alone, so that the user can change the size
// (W-C13), and goes on once the Secret is there.
func TestExpandControllerSecretMissing(t *testing.T) {
	t.Parallel()
	s := newScene(t, inController)
	p := s.proxy()
	s.through(p, soon)
	claim := s.claim("c", s.expandableClass("sc", s.controllerExpandSecret("late")))
	s.bound("c")
	s.ask("c", "9Gi")
	t.Log(s.event(s.id, "c", reasonResizeFailed, s.id+"/late"))
	if got := p.Writes(s.patches("c", "")); len(got) != 0 {
		t.Errorf("the claim was patched although nothing could be done: %s", bodies(got))
	}
	s.ask("c", "2Gi")
	s.secret(s.id, "late", arraySecret())
	s.expanded("c", "2Gi")
	if diff := cmp.Diff([]int64{bytesOf("2Gi")}, s.expansions(claim)); diff != "" {
		t.Errorf("sizes asked of the driver (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(arraySecret(), s.calls("ControllerExpandVolume", 1)[0].Secrets); diff != "" {
		t.Errorf("secrets (-want +got):\n%s", diff)
	}
}

// TestExpandWithoutReferences: a volume made before its class had secrets. What
// can be set is set when the flag says so, once; what can't be is told.
func TestExpandWithoutReferences(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		flags   []string
		secrets map[string]string
		ref     bool
	}{
		"default":  {nil, nil, false},
		"backfill": {[]string{"--backfill-expand-secrets"}, arraySecret(), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, inController)
			s.secret(s.id, "array", arraySecret())
			p := s.proxy()
			s.through(p, c.flags...)
			claim := s.claim("c", s.expandableClass("sc", nil))
			s.bound("c")
			s.replaceClass("sc", merged(s.nodeExpandSecret("node"), s.controllerExpandSecret("array")), "allowVolumeExpansion: true")
			for _, size := range []string{"2Gi", "3Gi"} {
				s.ask("c", size)
				s.expanded("c", size)
			}
			t.Log(s.event(s.id, "c", reasonResizeFailed, "nodeExpandSecretRef"))
			var want *corev1.SecretReference
			if c.ref {
				want = &corev1.SecretReference{Namespace: s.id, Name: "array"}
			}
			volume := s.volumeOf("c").Spec.CSI
			if diff := cmp.Diff(want, volume.ControllerExpandSecretRef); diff != "" {
				t.Errorf("controllerExpandSecretRef (-want +got):\n%s", diff)
			}
			if volume.NodeExpandSecretRef != nil {
				t.Errorf("nodeExpandSecretRef is %v", volume.NodeExpandSecretRef)
			}
			for _, call := range s.callsFor(claim, "ControllerExpandVolume") {
				if diff := cmp.Diff(c.secrets, call.Secrets); diff != "" {
					t.Errorf("secrets (-want +got):\n%s", diff)
				}
			}
			match := volumePatches(claim)
			match.Body = "controllerExpandSecretRef"
			if got := p.Writes(match); (len(got) == 1) != c.ref || len(got) > 1 {
				t.Errorf("the reference was written %d times: %s", len(got), bodies(got))
			}
		})
	}
}

// TestExpandBlock: the device in the pod gets bigger.
func TestExpandBlock(t *testing.T) {
	t.Parallel()
	s := realVolumes(t, credentialsFile(t, nodeSecret()))
	s.secret(s.id, "node", nodeSecret())
	s.sidecar()
	claim := s.claim("c", s.expandableClass("sc", s.nodeExpandSecret("node")), block)
	s.bound("c")
	s.pod("user", claim)
	s.running("user")
	device := s.published(claim)
	s.isDevice(device, bytesOf("1Gi"))
	s.ask("c", "2Gi")
	s.expanded("c", "2Gi")
	s.isDevice(device, bytesOf("2Gi"))
	var request csipb.ControllerExpandVolumeRequest
	s.must(s.calls("ControllerExpandVolume", 1)[0].DecodeRequest(&request))
	if request.GetVolumeCapability().GetBlock() == nil {
		t.Errorf("the request is %v", &request)
	}
	if got := s.nodeExpansions(claim); len(got) != 1 || !equality.Semantic.DeepEqual(got[0].Secrets, nodeSecret()) {
		t.Errorf("NodeExpandVolume succeeded %v", got)
	}
}

// TestExpandOnNodeOnly: a driver whose controller has nothing to do.
func TestExpandOnNodeOnly(t *testing.T) {
	t.Parallel()
	s := realVolumes(t, onNode, credentialsFile(t, nodeSecret()))
	s.secret(s.id, "node", nodeSecret())
	p := s.proxy()
	s.through(p)
	claim := s.claim("c", s.expandableClass("sc", s.nodeExpandSecret("node")))
	s.bound("c")
	s.pod("user", claim)
	s.running("user")
	before := s.fileSystem(s.published(claim))
	s.ask("c", "2Gi")
	s.expanded("c", "2Gi")
	if after := s.fileSystem(s.published(claim)); after-before < bytesOf("900Mi") {
		t.Errorf("the file system went from %d bytes to %d", before, after)
	}
	if got := s.expansions(claim); len(got) != 0 {
		t.Errorf("ControllerExpandVolume was called for %v", got)
	}
	if got := s.nodeExpansions(claim); len(got) != 1 || !equality.Semantic.DeepEqual(got[0].Secrets, nodeSecret()) {
		t.Errorf("NodeExpandVolume succeeded %v", got)
	}
	s.cost(p, claim, 2, 1, map[string]int32{reasonResizing: 1, reasonOnNode: 1})
}

// TestExpandOfflineOnly (W-C19): a driver that refuses to expand a volume in use is
// asked again as soon as the pod is gone. The back-off would take minutes.
func TestExpandOfflineOnly(t *testing.T) {
	t.Parallel()
	s := newScene(t, offlineOnly)
	s.needsKubelet()
	s.sidecar("--retry-interval-max=5m")
	claim := s.claim("c", s.expandableClass("sc", nil))
	s.bound("c")
	s.pod("user", claim)
	s.running("user")
	s.ask("c", "2Gi")
	t.Log(s.event(s.id, "c", reasonResizeFailed, "pod user"))
	if got := s.expansions(claim); len(got) != 1 {
		t.Errorf("the driver was asked %d times while the pod runs, want once", len(got))
	}
	s.volumeHas("c", "1Gi")

	s.deletePod("user")
	ended := time.Now()
	s.handedOver("c", "2Gi")
	t.Logf("the volume was expanded %s after the pod was gone", time.Since(ended).Round(time.Millisecond))
	// The rest is for the next pod's node.
	s.pod("next", claim)
	s.running("next")
	s.expanded("c", "2Gi")
}

// TestExpandEphemeral (W-C19): claims of generic ephemeral volumes are seen to be
// in use, too.
func TestExpandEphemeral(t *testing.T) {
	t.Parallel()
	s := newScene(t, offlineOnly)
	s.needsKubelet()
	s.sidecar("--retry-interval-max=5m")
	class := s.expandableClass("sc", nil)
	pod := podWith("user", &corev1.PersistentVolumeClaim{})
	pod.Spec.Volumes[0].VolumeSource = corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{
		VolumeClaimTemplate: &corev1.PersistentVolumeClaimTemplate{Spec: load.ClaimSpec(class)},
	}}
	s.makePod(pod)
	s.running("user")
	const claim = "user-" + podVolume
	s.ask(claim, "2Gi")
	s.event(s.id, claim, reasonResizeFailed, "pod user")
	if got := s.expansions(s.get(claim)); len(got) != 1 {
		t.Errorf("the driver was asked %d times while the pod runs, want once", len(got))
	}
}
