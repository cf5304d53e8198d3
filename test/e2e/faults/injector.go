package faults

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"time"

	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/cluster"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/load"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/proxy"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/stage"
)

// A Sidecar can be killed, after which somebody starts it again, and paused.
type Sidecar interface {
	Kill()
	Pause()
	Resume()
}

// An Injector injects faults into all that a sidecar works with, and into the sidecar.
// What it is not to touch it need not have.
type Injector struct {
	Cluster  *cluster.Cluster
	API      load.API
	Driver   *stage.Driver
	Proxy    *proxy.Proxy
	Sidecars []Sidecar
	// Rules are those that the driver has, and has again after it was killed.
	Rules []control.Rule
	// Class is the StorageClass that is removed, SecretNamespace has the Secret.
	Class           *storagev1.StorageClass
	SecretNamespace string
	// Turn is held by faults of the whole cluster: what others have begun goes first, and
	// the fault is left out.
	Turn *sync.Mutex
	// Over ends all faults that last, when it is closed.
	Over <-chan struct{}

	Counts Counts

	driver sync.Mutex // held while the driver is not there
}

// errBusy is the error of a fault that is left out.
var errBusy = errors.New("another fault of the whole cluster lasts")

// Inject brings about a fault, and returns when it is over. One that did not happen, as
// another one lasts, is no error and not counted.
func (i *Injector) Inject(ctx context.Context, f Fault) error {
	err := i.inject(ctx, f)
	switch {
	case errors.Is(err, errBusy):
		return nil
	case err != nil:
		return fmt.Errorf("injecting the fault %q: %w", f.Kind, err)
	}
	i.Counts.add(f.Kind)
	return nil
}

func (i *Injector) inject(ctx context.Context, f Fault) error {
	switch f.Kind {
	case KillSidecar:
		i.Sidecars[f.Replica].Kill()
	case PauseSidecar:
		i.Sidecars[f.Replica].Pause()
		i.last(ctx, f.For)
		i.Sidecars[f.Replica].Resume()
	case StealLease:
		return i.stealLeases(ctx)
	case KillDriver:
		return i.killDriver(ctx, f.For)
	case DriverErrors, DriverHangs:
		return i.ruleDriver(ctx, f)
	case RemoveClass:
		return i.removeClass(ctx, f.For)
	case RemoveSecret:
		return i.removeSecret(ctx, f.For)
	case APIErrors, APIHangs:
		injection := i.Proxy.Add(f.API)
		i.last(ctx, f.For)
		injection.Remove()
	case PauseAPIServer:
		return i.pause(ctx, cluster.APIServer, f.For)
	case PauseEtcd:
		return i.pause(ctx, cluster.Etcd, f.For)
	case RestartAPIServer:
		return i.restart(ctx, cluster.APIServer)
	case RestartEtcd:
		return i.restart(ctx, cluster.Etcd)
	default:
		return errors.New("there is no such fault")
	}
	return nil
}

// last returns when the fault has lasted long enough, or all is over.
func (i *Injector) last(ctx context.Context, duration time.Duration) {
	select {
	case <-ctx.Done():
	case <-i.Over:
	case <-time.After(duration):
	}
}

// stealLeases writes another holder's name into the leases that are there.
func (i *Injector) stealLeases(ctx context.Context) error {
	name := regexp.MustCompile("[^a-zA-Z0-9-]").ReplaceAllString(i.Driver.Name, "-")
	patch := fmt.Appendf(nil, `{"spec":{"holderIdentity":"thief","renewTime":%q}}`, time.Now().UTC().Format(metav1.RFC3339Micro))
	for _, lease := range []string{name, "external-resizer-" + name} {
		if err := i.API.Try(ctx, "patching lease "+lease, func() error {
			_, err := i.API.Client.CoordinationV1().Leases(metav1.NamespaceDefault).Patch(ctx, lease, types.MergePatchType, patch, metav1.PatchOptions{})
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// killDriver kills the driver and starts it again, with the rules that it had.
func (i *Injector) killDriver(ctx context.Context, away time.Duration) error {
	i.driver.Lock()
	defer i.driver.Unlock()
	if err := i.Driver.Process().Kill(); err != nil {
		return err
	}
	i.last(ctx, away)
	if err := i.Driver.Start(ctx); err != nil {
		return err
	}
	return AddRules(ctx, i.Driver.Control, i.Rules)
}

// AddRules has a driver misbehave.
func AddRules(ctx context.Context, driver *control.Client, rules []control.Rule) error {
	for _, rule := range rules {
		if _, err := driver.AddRule(ctx, rule); err != nil {
			return fmt.Errorf("adding a rule to the driver: %w", err)
		}
	}
	return nil
}

// ruleDriver has the driver misbehave for a while.
func (i *Injector) ruleDriver(ctx context.Context, f Fault) error {
	id, err := i.Driver.Control.AddRule(ctx, f.Driver)
	if err != nil {
		return err
	}
	i.last(ctx, f.For)
	return i.Driver.Control.RemoveRule(ctx, id)
}

func (i *Injector) removeClass(ctx context.Context, away time.Duration) error {
	if err := i.API.DeleteClass(ctx, i.Class.Name); err != nil {
		return err
	}
	i.last(ctx, away)
	return i.API.CreateClass(ctx, i.Class)
}

func (i *Injector) removeSecret(ctx context.Context, away time.Duration) error {
	if err := i.API.DeleteSecret(ctx, i.SecretNamespace); err != nil {
		return err
	}
	i.last(ctx, away)
	return i.API.CreateSecret(ctx, i.SecretNamespace)
}

// pause pauses a component of Kubernetes.
func (i *Injector) pause(ctx context.Context, name string, duration time.Duration) error {
	if !i.Turn.TryLock() {
		return errBusy
	}
	defer i.Turn.Unlock()
	component := i.Cluster.Component(name)
	if err := component.Pause(); err != nil {
		return err
	}
	i.last(ctx, duration)
	return component.Resume()
}

func (i *Injector) restart(ctx context.Context, name string) error {
	if !i.Turn.TryLock() {
		return errBusy
	}
	defer i.Turn.Unlock()
	return i.Cluster.Component(name).Restart(ctx)
}
