package chaos

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/proxy"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/stage"
)

// password is the value of the Secrets, which may be seen nowhere.
const password = "t0p-Secret-of-chaos"

// secretName is the name of the Secrets.
const secretName = "credentials"

// A lane plays one round after the other.
type lane struct {
	id      string // also the name of its namespace
	stage   *stage.Stage
	client  kubernetes.Interface
	program Program
	driver  *stage.Driver
	turn    *sync.Mutex // for trouble of the whole cluster

	mu      sync.Mutex // the driver's process
	healthy *replica   // the sidecar between the rounds
	api     *proxy.Proxy
}

// newLane starts a driver and makes what all rounds of a lane need.
func newLane(ctx context.Context, s *stage.Stage, program Program, id string, turn *sync.Mutex) (*lane, error) {
	driver, err := s.StartDriver(ctx, id, id+".chaos.example",
		"--backend=directory",
		// Nobody is there to grow file systems, or to attach volumes.
		"--node-capabilities=*,-EXPAND_VOLUME", "--controller-capabilities=*,-PUBLISH_UNPUBLISH_VOLUME")
	if err != nil {
		return nil, err
	}
	l := &lane{id: id, stage: s, client: s.Client, program: program, driver: driver, turn: turn}
	return l, l.furnish(ctx)
}

func (l *lane) furnish(ctx context.Context) error {
	if err := l.makeNamespace(ctx, l.id); err != nil {
		return err
	}
	for _, class := range l.classes() {
		if err := l.persist(ctx, func() error {
			_, err := l.client.StorageV1().StorageClasses().Create(ctx, class, metav1.CreateOptions{})
			return err
		}); err != nil {
			return err
		}
	}
	for name, parameters := range l.attributes() {
		class := &storagev1.VolumeAttributesClass{ObjectMeta: metav1.ObjectMeta{Name: name}, DriverName: l.driver.Name, Parameters: parameters}
		if err := l.persist(ctx, func() error {
			_, err := l.client.StorageV1().VolumeAttributesClasses().Create(ctx, class, metav1.CreateOptions{})
			return err
		}); err != nil {
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

func (l *lane) classes() []*storagev1.StorageClass {
	return []*storagev1.StorageClass{
		l.class(Delete, nil),
		l.class(Retain, nil),
		l.class(Credentials, secretParameters(l.id)),
		l.class(OwnCredentials, secretParameters("${pvc.namespace}")),
	}
}

func secretParameters(namespace string) map[string]string {
	parameters := map[string]string{}
	for _, role := range []string{"provisioner", "controller-expand"} {
		parameters["csi.storage.k8s.io/"+role+"-secret-name"] = secretName
		parameters["csi.storage.k8s.io/"+role+"-secret-namespace"] = namespace
	}
	return parameters
}

func (l *lane) class(class Class, parameters map[string]string) *storagev1.StorageClass {
	policy, grows := corev1.PersistentVolumeReclaimDelete, true
	if class == Retain {
		policy = corev1.PersistentVolumeReclaimRetain
	}
	return &storagev1.StorageClass{
		ObjectMeta:           metav1.ObjectMeta{Name: l.name(string(class))},
		Provisioner:          l.driver.Name,
		Parameters:           parameters,
		ReclaimPolicy:        &policy,
		AllowVolumeExpansion: &grows,
	}
}

// makeNamespace makes a namespace with its Secret.
func (l *lane) makeNamespace(ctx context.Context, name string) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	err := l.persist(ctx, func() error {
		_, err := l.client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{})
		return err
	})
	if err != nil {
		return err
	}
	return l.makeSecret(ctx, name)
}

func (l *lane) makeSecret(ctx context.Context, namespace string) error {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: secretName}, StringData: map[string]string{"password": password}}
	return l.persist(ctx, func() error {
		_, err := l.client.CoreV1().Secrets(namespace).Create(ctx, secret, metav1.CreateOptions{})
		return err
	})
}

const (
	// patience bounds what must succeed in the end, whatever happens to the API
	// server meanwhile.
	patience   = 5 * time.Minute
	retryEvery = 100 * time.Millisecond
)

// persist does something again and again until it succeeds: the API server may be
// away. That it is done already, or that there is nothing to do it to, is success.
func (l *lane) persist(ctx context.Context, do func() error) error {
	deadline := time.Now().Add(patience)
	for {
		err := do()
		if err == nil || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err) || apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("trying for %s: %w", patience, err)
		}
		if !sleep(ctx, retryEvery) {
			return ctx.Err()
		}
	}
}

// sleep waits, and tells whether it did so to the end.
func sleep(ctx context.Context, duration time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(duration):
		return true
	}
}
