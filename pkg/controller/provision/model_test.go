package provision

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
	"github.com/csi-provisioner/csi-provisioner/pkg/journal"
	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	"github.com/csi-provisioner/csi-provisioner/pkg/secrets"
)

// model is a driver, and an API server, that fail at random, but never otherwise
// than the CSI specification and Kubernetes allow. What must never happen is
// noted in wrong.
type model struct {
	random *rand.Rand
	// healthy has all calls succeed.
	healthy bool
	made    int
	// volumes are those at the driver, by name.
	volumes map[string]modelVolume
	// pending are the requests, by name, that may be under way still: they must
	// be repeated exactly, and may make their volumes at any time.
	pending map[string]*csipb.CreateVolumeRequest
	// stored are the PersistentVolumes, by name.
	stored map[string]*corev1.PersistentVolume
	// intents are those recorded, by the UID of their claim.
	intents map[types.UID]*modelIntent
	events  []string
	wrong   []string
}

// modelIntent is the record of an intent; one that has ended may be found all the
// same, as ends are lazy.
type modelIntent struct {
	*journal.Intent
	ended bool
}

// errCrash is the panic of a process that dies.
var errCrash = errors.New("crash")

// mayCrash is where the process may die.
func (m *model) mayCrash() {
	if m.chance(1) {
		panic(errCrash)
	}
}

// recorded returns what a new process finds in the journal.
func (m *model) recorded() []*journal.Intent {
	var found []*journal.Intent
	for _, uid := range slices.Sorted(maps.Keys(m.intents)) {
		if m.intents[uid].ended && m.chance(50) {
			delete(m.intents, uid)
			continue
		}
		m.intents[uid].ended = false
		found = append(found, m.intents[uid].Intent)
	}
	return found
}

type modelJournal struct{ *model }

// Begin implements Journal.
func (m modelJournal) Begin(_ context.Context, intent *journal.Intent) error {
	if old := m.intents[intent.Claim.UID]; old != nil && !old.ended && old.Covers(intent) {
		return nil
	}
	m.mayCrash()
	if m.chance(5) {
		return errors.New("recording: not done")
	}
	m.intents[intent.Claim.UID] = &modelIntent{Intent: intent}
	m.mayCrash()
	return nil
}

// Undoing implements Journal.
func (m modelJournal) Undoing(types.UID) {}

// End implements Journal.
func (m modelJournal) End(uid types.UID) {
	intent := m.intents[uid]
	if intent == nil {
		return
	}
	intent.ended = true
	if !m.chance(50) {
		delete(m.intents, uid)
	}
}

type modelVolume struct {
	handle   string
	capacity int64
	request  *csipb.CreateVolumeRequest
}

// chance is true with that many percent, unless all is healthy.
func (m *model) chance(percent int) bool { return !m.healthy && m.random.IntN(100) < percent }

func pick[T any](m *model, of ...T) T { return of[m.random.IntN(len(of))] }

func (m *model) forbid(format string, args ...any) {
	m.wrong = append(m.wrong, fmt.Sprintf(format, args...))
}

// CreateVolume implements csi.Volumes.
func (m *model) CreateVolume(_ context.Context, full *csipb.CreateVolumeRequest, _ ...csi.Option) (*csipb.CreateVolumeResponse, error) {
	m.mayCrash()
	request := proto.CloneOf(full)
	request.Secrets = nil
	name := request.GetName()
	if before := m.pending[name]; before != nil && !csi.SameRequest(before, request) {
		m.forbid("a call for %q that may be under way is followed by another request %v, before %v", name, request, before)
	}
	if m.chance(20) {
		m.pending[name] = request
		m.mayCrash()
		return nil, status.Error(pick(m, codes.DeadlineExceeded, codes.Aborted, codes.Unavailable, codes.Canceled), "pending")
	}
	if m.pending[name] != nil && m.chance(50) {
		m.work(request) // The earlier call is through by now.
	}
	delete(m.pending, name)
	volume, exists := m.volumes[name]
	switch {
	case exists && !csi.SameRequest(volume.request, request):
		return nil, status.Error(pick(m, codes.AlreadyExists, codes.AlreadyExists, codes.InvalidArgument), "other parameters")
	case !exists && m.chance(20):
		return nil, status.Error(pick(m, codes.OutOfRange, codes.InvalidArgument, codes.ResourceExhausted, codes.NotFound), "no volume")
	case m.chance(10):
		return nil, status.Error(pick(m, codes.Internal, codes.Unknown, codes.DataLoss), "no work done")
	}
	m.work(request)
	m.mayCrash()
	if m.chance(10) {
		return nil, status.Error(pick(m, codes.Internal, codes.Unknown), "work done")
	}
	if m.chance(5) {
		return &csipb.CreateVolumeResponse{}, nil
	}
	return &csipb.CreateVolumeResponse{Volume: &csipb.Volume{
		VolumeId: m.volumes[name].handle, CapacityBytes: m.volumes[name].capacity,
	}}, nil
}

// work makes the volume of a request, unless there is one of its name.
func (m *model) work(request *csipb.CreateVolumeRequest) {
	if _, ok := m.volumes[request.GetName()]; ok {
		return
	}
	m.made++
	volume := modelVolume{handle: fmt.Sprintf("h-%d", m.made), capacity: request.GetCapacityRange().GetRequiredBytes(), request: request}
	if m.chance(10) {
		volume.capacity--
	}
	m.volumes[request.GetName()] = volume
}

// catchUp ends the calls that are under way.
func (m *model) catchUp() {
	for _, name := range slices.Sorted(maps.Keys(m.pending)) {
		if m.random.IntN(2) == 0 {
			m.work(m.pending[name])
		}
	}
}

// DeleteVolume implements csi.Volumes.
func (m *model) DeleteVolume(_ context.Context, request *csipb.DeleteVolumeRequest, _ ...csi.Option) error {
	for name, volume := range m.stored {
		if volume.Spec.CSI.VolumeHandle == request.GetVolumeId() {
			m.forbid("volume %q of PersistentVolume %q is deleted", request.GetVolumeId(), name)
		}
	}
	m.mayCrash()
	if m.chance(20) {
		return status.Error(codes.Internal, "nothing deleted")
	}
	defer m.mayCrash()
	known := false
	maps.DeleteFunc(m.volumes, func(_ string, v modelVolume) bool {
		known = known || v.handle == request.GetVolumeId()
		return v.handle == request.GetVolumeId()
	})
	if !known && m.chance(50) {
		return status.Error(codes.NotFound, "no such volume")
	}
	if m.chance(10) {
		return status.Error(codes.DeadlineExceeded, "deleted all the same")
	}
	return nil
}

type modelStore struct{ *model }

// Get implements VolumeStore.
func (m modelStore) Get(_ context.Context, name string) (*corev1.PersistentVolume, error) {
	m.mayCrash()
	if m.chance(5) {
		return nil, errors.New("reading: no leader")
	}
	if volume, ok := m.stored[name]; ok {
		return volume, nil
	}
	return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "persistentvolumes"}, name)
}

// Store implements VolumeStore.
func (m modelStore) Store(_ context.Context, volume *corev1.PersistentVolume) error {
	if m.chance(15) {
		return fmt.Errorf("storing: no leader")
	}
	if existing := m.stored[volume.Name]; existing != nil {
		if !kube.SameVolume(existing, volume) {
			m.forbid("a second volume for PersistentVolume %q", volume.Name)
			return &kube.TakenError{Volume: existing}
		}
		return nil
	}
	if m.chance(10) {
		return fmt.Errorf("storing: %w", kube.ErrRefused)
	}
	m.mayCrash()
	m.stored[volume.Name] = volume
	m.mayCrash()
	if m.chance(10) {
		return fmt.Errorf("storing: stored all the same")
	}
	return nil
}

type modelSecrets struct{ *model }

// Get implements SecretReader.
func (m modelSecrets) Get(context.Context, secrets.Ref) (secrets.Credentials, error) {
	switch {
	case m.chance(5):
		return secrets.Credentials{}, missing()
	case m.chance(5):
		return secrets.Credentials{}, unreadable()
	}
	return secrets.NewCredentials(map[string][]byte{"password": []byte(password)}), nil
}

// Forget implements SecretReader.
func (m *model) Forget(secrets.Ref) {}

type modelClaims struct{ *story }

// Get implements ClaimStore.
func (m modelClaims) Get(_ context.Context, namespace, name string) (*corev1.PersistentVolumeClaim, error) {
	if m.chance(5) {
		return nil, errors.New("reading: no leader")
	}
	if claim := m.claimOf(Key{Namespace: namespace, Name: name}); claim != nil {
		return claim, nil
	}
	return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "persistentvolumeclaims"}, name)
}

// Reschedule implements ClaimStore.
func (m modelClaims) Reschedule(context.Context, *corev1.PersistentVolumeClaim) error { return nil }

// Select implements ClaimStore.
func (m modelClaims) Select(context.Context, *corev1.PersistentVolumeClaim, string) error { return nil }

// Normal implements EventSender.
func (m *model) Normal(_ runtime.Object, reason, message string) { m.send(reason, message) }

// Warning implements EventSender.
func (m *model) Warning(_ runtime.Object, reason, message string) { m.send(reason, message) }

func (m *model) send(reason, message string) {
	m.events = append(m.events, reason+": "+message)
	if strings.Contains(message, password) {
		m.forbid("the event %q shows the secret", message)
	}
}
