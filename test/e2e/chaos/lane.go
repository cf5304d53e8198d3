package chaos

import (
	"context"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/inventory"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/load"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/proxy"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/stage"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/wait"
)

// patience is how long what must succeed in the end is tried, whatever happens to the
// API server meanwhile.
const (
	patience   = 5 * time.Minute
	retryEvery = 100 * time.Millisecond
)

// A lane plays one round after the other.
type lane struct {
	id      string // also the name of its namespace
	stage   *stage.Stage
	client  kubernetes.Interface
	cluster load.API // the same with patience
	program Program
	driver  *stage.Driver
	turn    *sync.Mutex // for trouble of the whole cluster

	healthy *replica // the sidecar between the rounds
	api     *proxy.Proxy
}

// newLane starts a driver and makes what all rounds of a lane need.
func newLane(ctx context.Context, s *stage.Stage, program Program, id string, turn *sync.Mutex) (*lane, error) {
	driver, err := s.StartDriver(ctx, id, id+".chaos.example", stage.ControllerOnly()...)
	if err != nil {
		return nil, err
	}
	l := &lane{id: id, stage: s, client: s.Client, program: program, driver: driver, turn: turn}
	l.cluster = load.API{Client: s.Client, Patience: wait.Patience{For: patience, Every: retryEvery}}
	return l, l.furnish(ctx)
}

func (l *lane) furnish(ctx context.Context) error {
	if err := l.cluster.CreateNamespace(ctx, l.id); err != nil {
		return err
	}
	if err := l.createClasses(ctx); err != nil {
		return err
	}
	for name, parameters := range l.attributes() {
		class := &storagev1.VolumeAttributesClass{ObjectMeta: metav1.ObjectMeta{Name: name}, DriverName: l.driver.Name, Parameters: parameters}
		if err := l.cluster.CreateAttributesClass(ctx, class); err != nil {
			return err
		}
	}
	return nil
}

// attributes are the parameters of the lane's VolumeAttributesClasses.
func (l *lane) attributes() map[string]map[string]string {
	return map[string]map[string]string{
		l.name(silver): {"tier": silver, "iops": "100"},
		l.name(gold):   {"tier": gold, "iops": "1000"},
	}
}

// name is that of a class of the lane.
func (l *lane) name(class string) string { return l.id + "-" + class }

// createClasses creates the StorageClasses that are not there.
func (l *lane) createClasses(ctx context.Context) error {
	for _, class := range []*storagev1.StorageClass{
		l.class(Delete),
		l.class(Retain),
		load.WithSecret(l.class(Credentials), l.id),
		load.WithSecret(l.class(OwnCredentials), load.ClaimNamespace),
	} {
		if err := l.cluster.CreateClass(ctx, class); err != nil {
			return err
		}
	}
	return nil
}

func (l *lane) class(class Class) *storagev1.StorageClass {
	policy := corev1.PersistentVolumeReclaimDelete
	if class == Retain {
		policy = corev1.PersistentVolumeReclaimRetain
	}
	return load.NewClass(l.name(string(class)), l.driver.Name, policy)
}

// inventory reads what there is of the lane's driver.
func (l *lane) inventory() inventory.Reader {
	return inventory.Reader{Client: l.client, Driver: l.driver, IsUsers: func(namespace string) bool {
		return namespace == l.id || strings.HasPrefix(namespace, l.id+"-r")
	}}
}

// observe looks at all that there is of the lane's driver.
func (l *lane) observe(ctx context.Context) (Observation, error) {
	found, err := l.inventory().Read(ctx)
	return Observation{Inventory: found, Attributes: l.attributes()}, err
}
