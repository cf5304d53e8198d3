package provision

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	corelisters "k8s.io/client-go/listers/core/v1"
	storagelisters "k8s.io/client-go/listers/storage/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/ktesting"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	"github.com/csi-provisioner/csi-provisioner/pkg/metrics"
	"github.com/csi-provisioner/csi-provisioner/pkg/names"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/capability"
	plan "github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
)

// story is a controller in a model of the world, in which anything may happen to
// a few claims.
type story struct {
	*model
	t                      *testing.T
	c                      *Controller
	crashes                int
	claims, shown, classes cache.Indexer
	keys                   []Key
	steps                  []string
}

func newStory(t *testing.T, seed uint64) *story {
	s := &story{
		t: t,
		model: &model{
			random:  rand.New(rand.NewPCG(seed, 0)),
			volumes: map[string]modelVolume{}, pending: map[string]*csipb.CreateVolumeRequest{}, stored: map[string]*corev1.PersistentVolume{},
			intents: map[types.UID]*modelIntent{},
		},
		claims:  cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc}),
		shown:   cache.NewIndexer(cache.MetaNamespaceKeyFunc, nil),
		classes: cache.NewIndexer(cache.MetaNamespaceKeyFunc, nil),
	}
	s.start()
	s.setClass(0)
	for i := range 4 {
		s.addClaim(types.UID(fmt.Sprintf("uid-%d", i)))
	}
	return s
}

// start starts a controller, which takes over what the one before has begun.
func (s *story) start() {
	s.c = New(Deps{
		Claims:  corelisters.NewPersistentVolumeClaimLister(s.claims),
		Volumes: corelisters.NewPersistentVolumeLister(s.shown),
		Classes: storagelisters.NewStorageClassLister(s.classes),
		InTree:  kube.NewInTree(driverName),
		Places:  places{}, Driver: s.model, Secrets: modelSecrets{s.model}, Store: modelStore{s.model}, ClaimStore: modelClaims{s},
		Journal: modelJournal{s.model}, Events: s.model,
		Metrics: metrics.New().Volumes, Locks: &controller.VolumeLocks{},
		Clock: clocktesting.NewFakePassiveClock(time.Unix(1_700_000_000, 0)),
	}, Config{
		Driver:          plan.Driver{Name: driverName, Identity: "me", Capabilities: capability.Set{ControllerService: true, CreateDelete: true}},
		Options:         plan.Options{VolumeNamePrefix: "pvc", VolumeNameUUIDLength: -1},
		InfeasibleRetry: infeasible,
	})
	s.c.Resume(s.recorded())
}

func (s *story) update(indexer cache.Indexer, object any) {
	s.t.Helper()
	if err := indexer.Update(object); err != nil {
		s.t.Fatal(err)
	}
}

func (s *story) setClass(tier int) {
	s.update(s.classes, &storagev1.StorageClass{
		ObjectMeta: metav1.ObjectMeta{Name: "fast"}, Provisioner: driverName,
		Parameters: map[string]string{
			"tier": fmt.Sprint(tier),
			names.ParameterPrefix + "provisioner-secret-name":      "creds",
			names.ParameterPrefix + "provisioner-secret-namespace": "default",
		},
	})
}

func (s *story) addClaim(uid types.UID) {
	class := "fast"
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "ns", Name: "claim-" + string(uid), UID: uid,
			Annotations: map[string]string{names.StorageProvisioner: driverName},
		},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			StorageClassName: &class,
			Resources:        corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
		},
	}
	s.update(s.claims, claim)
	s.keys = append(s.keys, KeyOf(claim))
}

// claimOf returns a copy of a claim; nil when it has been deleted.
func (s *story) claimOf(key Key) *corev1.PersistentVolumeClaim {
	object, exists, err := s.claims.GetByKey(key.Namespace + "/" + key.Name)
	if err != nil {
		s.t.Fatal(err)
	}
	claim, ok := object.(*corev1.PersistentVolumeClaim)
	if !exists || !ok {
		return nil
	}
	return claim.DeepCopy()
}

// happen lets one thing happen.
func (s *story) happen() {
	key := pick(s.model, s.keys...)
	claim := s.claimOf(key)
	event := s.random.IntN(100)
	switch {
	case event < 4:
		s.setClass(s.random.IntN(3))
	case event < 6:
		if err := s.classes.Replace(nil, ""); err != nil {
			s.t.Fatal(err)
		}
	case event < 8:
		s.catchUp()
	case event < 14:
		s.show()
	case event < 16 && claim != nil:
		if err := s.claims.Delete(claim); err != nil {
			s.t.Fatal(err)
		}
	case event < 17 && claim != nil:
		claim.DeletionTimestamp = &metav1.Time{}
		s.update(s.claims, claim)
	case event < 19:
		s.restart()
	case event < 20 && claim != nil && claim.Spec.VolumeName == "":
		claim.Spec.VolumeName = "by-hand"
		s.update(s.claims, claim)
	default:
		s.reconcile(key)
		return
	}
	s.steps = append(s.steps, fmt.Sprintf("%d to %s", event, key))
}

// show has the informer catch up with the API server, and binds claims.
func (s *story) show() {
	for _, volume := range s.stored {
		s.update(s.shown, volume)
	}
	for _, key := range s.keys {
		name := "pvc-" + string(key.UID)
		if claim := s.claimOf(key); claim != nil && claim.Spec.VolumeName == "" && s.stored[name] != nil {
			claim.Spec.VolumeName = name
			s.update(s.claims, claim)
		}
	}
}

// restart has a new controller take over. Calls of the old one that are under way
// at the driver come to an end of their own.
func (s *story) restart() {
	s.crashes++
	s.start()
}

func (s *story) reconcile(key Key) (err error) {
	ctx := klog.NewContext(s.t.Context(), ktesting.NewLogger(ktesting.NopTL{}, ktesting.NewConfig()))
	defer func() {
		if p := recover(); p == errCrash {
			s.steps = append(s.steps, fmt.Sprintf("crash at %s", key))
			s.restart()
		} else if p != nil {
			panic(p)
		}
	}()
	_, err = s.c.Reconcile(ctx, key)
	s.steps = append(s.steps, fmt.Sprintf("reconcile %s: %v", key, err))
	return err
}

// settle reconciles all claims, in a world in which nothing fails, until
// there is nothing more to do.
func (s *story) settle() {
	s.healthy = true
	s.setClass(0)
	s.catchUp()
	const rounds = 10
	for range rounds {
		failed := false
		for _, key := range s.keys {
			failed = s.reconcile(key) != nil || failed
		}
		if !failed {
			return
		}
	}
	s.t.Errorf("claims still fail after %d rounds without a failure of the world", rounds)
}

// checkVolumes compares what the driver has with what is stored.
func (s *story) checkVolumes() {
	s.t.Helper()
	var atDriver, stored []string
	for _, volume := range s.volumes {
		atDriver = append(atDriver, volume.handle)
	}
	for _, volume := range s.stored {
		stored = append(stored, volume.Spec.CSI.VolumeHandle)
	}
	slices.Sort(atDriver)
	slices.Sort(stored)
	if diff := cmp.Diff(stored, atDriver); diff != "" {
		s.t.Errorf("volumes of PersistentVolumes (-) and at the driver (+):\n%s", diff)
	}
	for _, key := range s.keys {
		claim := s.claimOf(key)
		wants := claim != nil && claim.DeletionTimestamp == nil && claim.Spec.VolumeName != "by-hand"
		if wants && s.stored["pvc-"+string(key.UID)] == nil {
			s.t.Errorf("claim %s has no volume", key)
		}
	}
	for _, wrong := range s.wrong {
		s.t.Error(wrong)
	}
}

// Whatever happens, in the end the driver has the volumes of the claims, and no
// others.
func TestAnythingMayHappen(t *testing.T) {
	const stories, length = 400, 120
	made, crashes := 0, 0
	for seed := range uint64(stories) {
		s := newStory(t, seed)
		for range length {
			s.happen()
		}
		s.settle()
		s.checkVolumes()
		for _, key := range s.keys {
			if claim := s.claimOf(key); claim != nil {
				if err := s.claims.Delete(claim); err != nil {
					t.Fatal(err)
				}
			}
			_ = s.reconcile(key)
		}
		s.checkVolumes()
		if attempts, announced, stored := len(s.c.attempts.of), len(s.c.attempts.announced), len(s.c.attempts.stored)+len(s.c.attempts.sure); attempts+announced+stored > 0 {
			t.Errorf("%d attempts, %d announced claims and %d with a stored volume are remembered", attempts, announced, stored)
		}
		for uid, intent := range s.intents {
			if !intent.ended {
				t.Errorf("the intent of %s is left", uid)
			}
		}
		made, crashes = made+s.made, crashes+s.crashes
		if t.Failed() {
			for _, step := range s.steps {
				t.Log(step)
			}
			t.Fatalf("this is the story of seed %d", seed)
		}
	}
	t.Logf("%d volumes, %d crashes", made, crashes)
	if made < stories || crashes < stories {
		t.Errorf("%d stories have made %d volumes, and had %d crashes, only", stories, made, crashes)
	}
}
