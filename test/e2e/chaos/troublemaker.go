package chaos

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/cluster"
)

// troublemaker brings about the troubles of a plan.
type troublemaker struct {
	*lane
	plan     Plan
	replicas []*replica

	mu    sync.Mutex
	count map[Kind]int
	errs  []error
}

// make brings about all troubles in time, and returns when they are over.
func (m *troublemaker) make(ctx context.Context, begin time.Time) (map[Kind]int, error) {
	m.count = map[Kind]int{}
	var group sync.WaitGroup
	for _, trouble := range m.plan.Troubles {
		group.Go(func() {
			if !sleep(ctx, time.Until(begin.Add(trouble.At))) {
				return
			}
			happened, err := m.one(ctx, trouble)
			m.mu.Lock()
			defer m.mu.Unlock()
			if happened {
				m.count[trouble.Kind]++
			}
			if err != nil && ctx.Err() == nil {
				m.errs = append(m.errs, fmt.Errorf("%s: %w", trouble.Kind, err))
			}
		})
	}
	group.Wait()
	return m.count, errors.Join(m.errs...)
}

// one brings about one trouble, and tells whether it did.
func (m *troublemaker) one(ctx context.Context, t Trouble) (bool, error) {
	sidecar := m.replicas[t.Replica]
	switch t.Kind {
	case KillSidecar:
		sidecar.kill()
	case PauseSidecar:
		sidecar.pause()
		sleep(ctx, t.For)
		sidecar.resume()
	case StealLease:
		return true, m.steal(ctx)
	case KillDriver:
		return true, m.killDriver(ctx, t.For)
	case RemoveClass:
		return true, m.removeClass(ctx, t.For)
	case RemoveSecret:
		return true, m.removeSecret(ctx, t.For)
	case PauseAPIServer, PauseEtcd, RestartAPIServer, RestartEtcd:
		return m.shake(ctx, t)
	}
	return true, nil
}

// steal writes somebody else's name into the leases that are there.
func (m *troublemaker) steal(ctx context.Context) error {
	name := regexp.MustCompile("[^a-zA-Z0-9-]").ReplaceAllString(m.driver.Name, "-")
	patch := fmt.Appendf(nil, `{"spec":{"holderIdentity":"thief","renewTime":%q}}`, time.Now().UTC().Format("2006-01-02T15:04:05.000000Z"))
	for _, lease := range []string{name, "external-resizer-" + name} {
		if err := m.persist(ctx, func() error {
			_, err := m.client.CoordinationV1().Leases(metav1.NamespaceDefault).Patch(ctx, lease, types.MergePatchType, patch, metav1.PatchOptions{})
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// killDriver kills the driver and starts it again, as ill as it was.
func (m *troublemaker) killDriver(ctx context.Context, away time.Duration) error {
	m.lane.mu.Lock()
	defer m.lane.mu.Unlock()
	if err := m.driver.Process().Kill(); err != nil {
		return err
	}
	sleep(ctx, away)
	if err := m.driver.Start(ctx); err != nil {
		return err
	}
	return addRules(ctx, m.driver.Control, m.plan.Driver)
}

// removeClass removes a class for a while.
func (m *troublemaker) removeClass(ctx context.Context, away time.Duration) error {
	class := m.class(Delete, nil)
	classes := m.client.StorageV1().StorageClasses()
	if err := m.persist(ctx, func() error { return classes.Delete(ctx, class.Name, metav1.DeleteOptions{}) }); err != nil {
		return err
	}
	sleep(ctx, away)
	return m.persist(ctx, func() error {
		_, err := classes.Create(ctx, class, metav1.CreateOptions{})
		return err
	})
}

// removeSecret removes the lane's Secret for a while.
func (m *troublemaker) removeSecret(ctx context.Context, away time.Duration) error {
	secrets := m.client.CoreV1().Secrets(m.id)
	if err := m.persist(ctx, func() error { return secrets.Delete(ctx, secretName, metav1.DeleteOptions{}) }); err != nil {
		return err
	}
	sleep(ctx, away)
	return m.makeSecret(ctx, m.id)
}

// shake pauses or restarts a part of Kubernetes, one at a time.
func (m *troublemaker) shake(ctx context.Context, t Trouble) (bool, error) {
	if !m.turn.TryLock() {
		return false, nil
	}
	defer m.turn.Unlock()
	name := cluster.APIServer
	if strings.HasPrefix(string(t.Kind), cluster.Etcd) {
		name = cluster.Etcd
	}
	component := m.stage.Cluster.Component(name)
	if t.For == 0 {
		return true, component.Restart(ctx)
	}
	if err := component.Pause(); err != nil {
		return false, err
	}
	sleep(ctx, t.For)
	return true, component.Resume()
}
