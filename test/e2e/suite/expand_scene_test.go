package suite

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/proxy"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/stage"
)

// The strings of expansions, see wire_test.go.
const (
	preResizeCapacity        = "volume.alpha.kubernetes.io/pre-resize-capacity"
	nodeExpansionNotRequired = "volume.kubernetes.io/node-expansion-not-required"
	storageResizer           = "volume.kubernetes.io/storage-resizer"

	reasonResizing     = "Resizing"
	reasonResizeFailed = "VolumeResizeFailed"
	reasonOnNode       = "FileSystemResizeRequired"
	reasonResized      = "VolumeResizeSuccessful"

	stateInProgress = corev1.PersistentVolumeClaimControllerResizeInProgress
	stateInfeasible = corev1.PersistentVolumeClaimControllerResizeInfeasible
	stateOnNode     = corev1.PersistentVolumeClaimNodeResizePending
)

// Flags of drivers.
const (
	// inController is one whose nodes have nothing to do when a volume is expanded.
	inController = "--node-capabilities=*,-EXPAND_VOLUME"
	// onNode is one whose controller has nothing to do.
	onNode = "--controller-capabilities=*,-EXPAND_VOLUME"
	// offlineOnly is one that expands no volumes that are in use.
	offlineOnly = "--plugin-capabilities=*,-ONLINE,OFFLINE"
)

// needsKubelet skips the test where there is none.
func (s *scene) needsKubelet() {
	s.Helper()
	if !shared.Kubelet {
		s.Skip("without root there is no kubelet")
	}
}

// expandableClass makes a class whose volumes can be expanded.
func (s *scene) expandableClass(name string, parameters map[string]string, fields ...string) string {
	s.Helper()
	return s.class(name, parameters, append(fields, "allowVolumeExpansion: true")...)
}

// get reads a claim.
func (s *scene) get(claim string) *corev1.PersistentVolumeClaim {
	s.Helper()
	found, err := shared.Client.CoreV1().PersistentVolumeClaims(s.id).Get(s.ctx, claim, metav1.GetOptions{})
	s.must(err)
	return found
}

func (s *scene) volumeOf(claim string) *corev1.PersistentVolume {
	s.Helper()
	volume, err := shared.Client.CoreV1().PersistentVolumes().Get(s.ctx, s.get(claim).Spec.VolumeName, metav1.GetOptions{})
	s.must(err)
	return volume
}

// unused is a condition that the controller manager writes soon after a claim is
// bound, to tell whether pods use it.
const unused corev1.PersistentVolumeClaimConditionType = "Unused"

// settled waits until nobody but the sidecar writes the claim's status: a real
// conflict costs another write, and perhaps another call.
func (s *scene) settled(claim string) {
	s.Helper()
	s.untilClaim(claim, "is settled", func(c *corev1.PersistentVolumeClaim) bool {
		return c.DeletionTimestamp != nil || slices.ContainsFunc(c.Status.Conditions, func(condition corev1.PersistentVolumeClaimCondition) bool {
			return condition.Type == unused
		})
	})
}

// ask has a claim ask for a size.
func (s *scene) ask(claim, size string) {
	s.Helper()
	s.settled(claim)
	patch := fmt.Appendf(nil, `{"spec":{"resources":{"requests":{"storage":%q}}}}`, size)
	s.until("claim "+claim+" may ask for "+size, func() (bool, error) {
		_, err := shared.Client.CoreV1().PersistentVolumeClaims(s.id).Patch(s.ctx, claim, types.MergePatchType, patch, metav1.PatchOptions{})
		if apierrors.IsForbidden(err) {
			// Admission has not seen yet what became of the class, or of the quota.
			return false, nil
		}
		return err == nil, err
	})
}

// untilClaim waits until a condition holds for a claim; a failed test shows the
// claim as it was.
func (s *scene) untilClaim(claim, what string, condition func(*corev1.PersistentVolumeClaim) bool) *corev1.PersistentVolumeClaim {
	s.Helper()
	var found *corev1.PersistentVolumeClaim
	held := false
	defer func() {
		if !held && found != nil {
			s.Logf("claim %s asks for %s and has the status %s", claim, requested(found).String(), inJSON(found.Status))
			s.logEvents(claim)
		}
	}()
	s.until("claim "+claim+" "+what, func() (bool, error) {
		var err error
		found, err = shared.Client.CoreV1().PersistentVolumeClaims(s.id).Get(s.ctx, claim, metav1.GetOptions{})
		held = err == nil && condition(found)
		return held, err
	})
	return found
}

// inState waits until the claim's expansion is in a state.
func (s *scene) inState(claim string, state corev1.ClaimResourceStatus) *corev1.PersistentVolumeClaim {
	s.Helper()
	return s.untilClaim(claim, "is in the state "+string(state), func(c *corev1.PersistentVolumeClaim) bool { return stateOf(c) == state })
}

// expanded waits until the claim has a size and nothing is left of its expansion.
func (s *scene) expanded(claim, size string) *corev1.PersistentVolumeClaim {
	s.Helper()
	found := s.untilClaim(claim, "has "+size, func(c *corev1.PersistentVolumeClaim) bool {
		return isSize(c.Status.Capacity, size) && stateOf(c) == ""
	})
	if len(resizeConditions(found)) > 0 || len(found.Status.AllocatedResourceStatuses) > 0 {
		s.Errorf("claim %s is left with the status %s", claim, inJSON(found.Status))
	}
	if !isSize(found.Status.AllocatedResources, size) {
		s.Errorf("claim %s is left with %s allocated, want %s", claim, inJSON(found.Status.AllocatedResources), size)
	}
	s.volumeHas(claim, size)
	return found
}

// handedOver waits until the claim waits for its node, with a volume of a size.
func (s *scene) handedOver(claim, size string) *corev1.PersistentVolumeClaim {
	s.Helper()
	found := s.untilClaim(claim, "waits for its node to expand to "+size, func(c *corev1.PersistentVolumeClaim) bool {
		return stateOf(c) == stateOnNode && isSize(c.Status.AllocatedResources, size)
	})
	want := []corev1.PersistentVolumeClaimConditionType{corev1.PersistentVolumeClaimFileSystemResizePending}
	if diff := cmp.Diff(want, resizeConditions(found)); diff != "" {
		s.Errorf("conditions of claim %s (-want +got):\n%s", claim, diff)
	}
	s.volumeHas(claim, size)
	return found
}

// resizeConditions are the claim's conditions that tell of an expansion.
func resizeConditions(claim *corev1.PersistentVolumeClaim) []corev1.PersistentVolumeClaimConditionType {
	var found []corev1.PersistentVolumeClaimConditionType
	for _, condition := range claim.Status.Conditions {
		switch condition.Type {
		case corev1.PersistentVolumeClaimResizing, corev1.PersistentVolumeClaimFileSystemResizePending,
			corev1.PersistentVolumeClaimControllerResizeError, corev1.PersistentVolumeClaimNodeResizeError:
			found = append(found, condition.Type)
		}
	}
	return found
}

func (s *scene) volumeHas(claim, size string) {
	s.Helper()
	if volume := s.volumeOf(claim); !isSize(volume.Spec.Capacity, size) {
		s.Errorf("the volume of claim %s has %s, want %s", claim, inJSON(volume.Spec.Capacity), size)
	}
}

// nodeExpands does what the kubelet does when it has expanded a volume, where no pod
// uses the claim.
func (s *scene) nodeExpands(claim string) {
	s.Helper()
	size := s.volumeOf(claim).Spec.Capacity[corev1.ResourceStorage]
	patch := fmt.Appendf(nil, `{"status":{"capacity":{"storage":%q},"allocatedResourceStatuses":null,"conditions":[{"type":"FileSystemResizePending","$patch":"delete"}]}}`, size.String())
	_, err := shared.Client.CoreV1().PersistentVolumeClaims(s.id).Patch(s.ctx, claim, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	s.must(err)
}

func stateOf(claim *corev1.PersistentVolumeClaim) corev1.ClaimResourceStatus {
	return claim.Status.AllocatedResourceStatuses[corev1.ResourceStorage]
}

func requested(claim *corev1.PersistentVolumeClaim) *resource.Quantity {
	return claim.Spec.Resources.Requests.Storage()
}

func isSize(list corev1.ResourceList, size string) bool {
	return list.Storage().Cmp(resource.MustParse(size)) == 0
}

func bytesOf(size string) int64 {
	quantity := resource.MustParse(size)
	return quantity.Value()
}

func inJSON(object any) string {
	text, err := json.Marshal(object)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// expansions returns the sizes in bytes of the ControllerExpandVolume calls for
// a claim, in their order.
func (s *scene) expansions(claim *corev1.PersistentVolumeClaim) []int64 {
	s.Helper()
	sizes := []int64{}
	for _, call := range s.callsFor(claim, "ControllerExpandVolume") {
		var request csipb.ControllerExpandVolumeRequest
		s.must(call.DecodeRequest(&request))
		sizes = append(sizes, request.GetCapacityRange().GetRequiredBytes())
	}
	return sizes
}

// expanding is a rule's match: ControllerExpandVolume of a claim's volume.
func expanding(claim *corev1.PersistentVolumeClaim) control.Match {
	return control.Match{Method: "ControllerExpandVolume", Volume: string(claim.UID)}
}

// reached waits until a rule of the driver has a call.
func (s *scene) reached(rule string) {
	s.Helper()
	_, err := s.driver.Control.WaitForCalls(s.ctx, control.Filter{Rule: rule}, 1)
	s.must(err)
}

// proxy starts one, which in the end has seen no patch that changes nothing.
func (s *scene) proxy() *proxy.Proxy {
	s.Helper()
	p, err := shared.Proxy()
	s.must(err)
	s.Cleanup(func() {
		s.must(p.Close())
		for _, write := range p.Writes(proxy.Match{Method: http.MethodPatch, Path: "/persistentvolume"}) {
			s.changes(write)
		}
	})
	return p
}

// changes fails the test when a patch has changed nothing.
func (s *scene) changes(patch proxy.Write) {
	s.Helper()
	var before metav1.PartialObjectMetadata
	if err := json.Unmarshal(patch.Body, &before); err != nil {
		s.Errorf("%s: the patch is %q: %v", patch.Path, patch.Body, err)
		return
	}
	if before.ResourceVersion == "" || before.UID == "" {
		s.Errorf("%s: the patch has no precondition: %s", patch.Path, patch.Body)
	}
	if patch.Code != http.StatusOK {
		return
	}
	after, _, err := scheme.Codecs.UniversalDeserializer().Decode(patch.Answer, nil, nil)
	if err != nil {
		s.Errorf("%s: decoding the answer to %s: %v", patch.Path, patch.Body, err)
		return
	}
	if object, err := meta.Accessor(after); err != nil || object.GetResourceVersion() == before.ResourceVersion {
		s.Errorf("%s: this patch has changed nothing: %s", patch.Path, patch.Body)
	}
}

// through starts a sidecar behind the proxy.
func (s *scene) through(p *proxy.Proxy, flags ...string) *stage.Sidecar {
	s.Helper()
	return s.sidecar(append([]string{stage.Through(p)}, flags...)...)
}

// patches matches the patches of a claim's status that say something.
func (s *scene) patches(claim, says string) proxy.Match {
	return proxy.Match{Method: http.MethodPatch, Path: "/namespaces/" + s.id + "/persistentvolumeclaims/" + claim + "/status$", Body: says}
}

// volumePatches matches the patches of a claim's volume.
func volumePatches(claim *corev1.PersistentVolumeClaim) proxy.Match {
	return proxy.Match{Method: http.MethodPatch, Path: "/persistentvolumes/[^/]*" + string(claim.UID) + "$"}
}

// resizeEvents are the events of the sidecar about expanding a claim, by reason.
func (s *scene) resizeEvents(claim string) map[string]int32 {
	s.Helper()
	events, err := shared.Client.CoreV1().Events(s.id).List(s.ctx, metav1.ListOptions{FieldSelector: "involvedObject.name=" + claim})
	s.must(err)
	counts := map[string]int32{}
	for _, event := range events.Items {
		s.keepsSecretsInside("an event", event)
		if strings.HasPrefix(event.Source.Component, s.driver.Name) && !strings.HasPrefix(event.Reason, "Provisioning") {
			counts[event.Reason] += max(1, event.Count)
		}
	}
	return counts
}
