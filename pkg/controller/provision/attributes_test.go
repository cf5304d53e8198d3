package provision

import (
	"slices"
	"testing"

	"google.golang.org/grpc/codes"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	storagelisters "k8s.io/client-go/listers/storage/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
)

// attributesWorld has a driver that modifies volumes, and a claim that names the
// VolumeAttributesClass gold, which does not exist.
type attributesWorld struct {
	*world
	attributes cache.Indexer
}

func newAttributesWorld(t *testing.T) *attributesWorld {
	t.Helper()
	w := &attributesWorld{newWorld(t), cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{})}
	w.c.deps.Attributes = storagelisters.NewVolumeAttributesClassLister(w.attributes)
	w.c.config.Options.VolumeAttributes, w.c.config.Driver.Capabilities.Modify = true, true
	w.setClaim(gold)
	return w
}

func gold(claim *corev1.PersistentVolumeClaim) {
	name := "gold"
	claim.Spec.VolumeAttributesClassName = &name
}

func (w *attributesWorld) setAttributes(driver, iops string) {
	w.must(w.attributes.Update(&storagev1.VolumeAttributesClass{
		ObjectMeta: metav1.ObjectMeta{Name: "gold"}, DriverName: driver, Parameters: map[string]string{"iops": iops},
	}))
}

// goldDependencies are all that the claim depends on.
func goldDependencies() []controller.Dependency {
	return slices.Concat(dependencies(), []controller.Dependency{controller.AttributesClassChanged("gold")})
}

func TestAttributesClassIsWaitedFor(t *testing.T) {
	w := newAttributesWorld(t)
	w.waitsFor(w.fails(`VolumeAttributesClass "gold" does not exist`), goldDependencies()...)
	w.setAttributes("other.example", "100")
	w.waitsFor(w.fails(`is for CSI driver "other.example"`), goldDependencies()...)
	w.calls()
	w.setAttributes(driverName, "100")
	w.works()
	if got := w.driver.requests[0].GetMutableParameters()["iops"]; got != "100" {
		t.Errorf("the driver is asked for %q", got)
	}
	if got := w.store.volumes[volumeName].Spec.VolumeAttributesClassName; got == nil || *got != "gold" {
		t.Errorf("the volume has the class %v", got)
	}
	w.idle()
}

// TestInfeasibleAttributes: the change of the VolumeAttributesClass ends the pause,
// and the driver is asked for what it says now.
func TestInfeasibleAttributes(t *testing.T) {
	w := newAttributesWorld(t)
	w.setAttributes(driverName, "100")
	w.driver.answers = []answer{failsWith(codes.InvalidArgument)}
	result, err := w.reconcile()
	if !controller.IsTerminal(err) || result.RequeueAfter != infeasible {
		t.Errorf("Reconcile = %+v, %v, want a terminal error and a look after %s", result, err, infeasible)
	}
	w.waitsFor(result, goldDependencies()...)
	w.setAttributes(driverName, "10")
	w.works()
	if got := w.driver.requests[1].GetMutableParameters()["iops"]; got != "10" {
		t.Errorf("the driver is asked for %q", got)
	}
}

// TestAttributesOfPendingCall: what was asked for is repeated, whatever the class
// says meanwhile.
func TestAttributesOfPendingCall(t *testing.T) {
	w := newAttributesWorld(t)
	w.setAttributes(driverName, "100")
	w.driver.answers = []answer{failsWith(codes.DeadlineExceeded)}
	w.fails("DeadlineExceeded")
	w.must(w.attributes.Delete(&storagev1.VolumeAttributesClass{ObjectMeta: metav1.ObjectMeta{Name: "gold"}}))
	w.crash()
	w.works()
	w.sameRequests()
}

// TestAttributesWithoutTheAPI: nothing is looked up, and no volume made that could
// not be bound.
func TestAttributesWithoutTheAPI(t *testing.T) {
	w := newAttributesWorld(t)
	w.c.deps.Attributes, w.c.config.Options.VolumeAttributes = nil, false
	w.fails("the feature gate VolumeAttributesClass is off")
	w.calls()
}

// TestAttributesOfDriverThatModifiesNothing: there is no informer then.
func TestAttributesOfDriverThatModifiesNothing(t *testing.T) {
	w := newAttributesWorld(t)
	w.c.deps.Attributes, w.c.config.Driver.Capabilities.Modify = nil, false
	w.fails("MODIFY_VOLUME")
	w.calls()
}
