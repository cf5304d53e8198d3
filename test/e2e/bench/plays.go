package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/figures"
)

// work is something that is done many times in a sample.
type work struct {
	times int
	// done tells which requests are the last of one time.
	done func(request) bool
	// finished tells whether all is done; without it that is when as many requests as
	// times are done.
	finished func(ctx context.Context) (bool, error)
}

// perform starts a contender that has work, and measures it until nothing is left of it.
func (s *scene) perform(ctx context.Context, c contender, w work, m sample) (err error) {
	if err := s.log.restart(); err != nil {
		return err
	}
	server, err := s.serverCPU()
	if err != nil {
		return err
	}
	r, err := s.start(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.kill()) }()
	written := 0
	finished := func() (bool, error) {
		if err := s.log.read(); err != nil {
			return false, err
		}
		before := written
		written = s.log.count(w.done)
		if w.finished == nil || written < w.times {
			return written >= w.times, nil
		}
		// The question costs the API server something: it waits until all seems to be done.
		if written > before {
			return false, nil
		}
		return w.finished(ctx)
	}
	if err := r.await(ctx, lookEvery, finished); err != nil {
		return err
	}
	if err := sleep(ctx, s.aftermath); err != nil {
		return err
	}
	u, err := r.usage()
	if err != nil {
		return err
	}
	if err := s.log.read(); err != nil {
		return err
	}
	m.setWork(s.log, r.began, w.times, w.done)
	m.setMemory(u)
	m[cpuEach] = figures.Milliseconds(u.cpu) / float64(w.times)
	m[cpuServer] = -server / float64(w.times)
	if server, err = s.serverCPU(); err != nil {
		return err
	}
	m[cpuServer] += server / float64(w.times)
	return nil
}

// provision has a contender find claims when it starts.
func provision(number int) play {
	return func(ctx context.Context, s *scene, c contender, m sample) error {
		if err := s.askFor(ctx, number); err != nil {
			return err
		}
		created := func(r request) bool { return r.verb == "create" && r.resource == volumes && r.succeeded() }
		if err := s.perform(ctx, c, work{times: number, done: created}, m); err != nil {
			return err
		}
		return s.clear(ctx)
	}
}

// expand has a contender find claims that ask for more than they have.
func expand(number int) play {
	return func(ctx context.Context, s *scene, c contender, m sample) error {
		want := resource.MustParse(fmt.Sprintf("%dGi", s.turn+1)) // at first they have 1Gi
		err := each(ctx, number, hands, func(ctx context.Context, n int) error {
			patch := fmt.Appendf(nil, `{"spec":{"resources":{"requests":{"storage":%q}}}}`, want.String())
			_, err := s.client.CoreV1().PersistentVolumeClaims(namespace).Patch(ctx, fmt.Sprintf("old-%d", n), types.MergePatchType, patch, metav1.PatchOptions{})
			if err != nil {
				return fmt.Errorf("asking for a larger size: %w", err)
			}
			return nil
		})
		if err != nil {
			return err
		}
		w := work{times: number, done: request.writesVolume, finished: func(ctx context.Context) (bool, error) { return s.expanded(ctx, want) }}
		return s.perform(ctx, c, w, m)
	}
}

// expanded reports whether all claims have a size, and nothing is left to do.
func (s *scene) expanded(ctx context.Context, want resource.Quantity) (bool, error) {
	list, err := s.client.CoreV1().PersistentVolumeClaims(namespace).List(ctx, metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return false, fmt.Errorf("listing claims: %w", err)
	}
	for n := range list.Items {
		status := list.Items[n].Status
		if has := status.Capacity[corev1.ResourceStorage]; has.Cmp(want) != 0 || len(status.AllocatedResourceStatuses) > 0 {
			return false, nil
		}
	}
	return true, nil
}

// remove has a contender find volumes whose claims have gone.
func remove(number int) play {
	return func(ctx context.Context, s *scene, c contender, m sample) error {
		err := each(ctx, number, hands, func(ctx context.Context, n int) error {
			return s.addReleased(ctx, fmt.Sprintf("released-%d-%d", s.turn, n))
		})
		if err != nil {
			return err
		}
		w := work{times: number, done: request.writesVolume, finished: s.allRemoved}
		if err := s.perform(ctx, c, w, m); err != nil {
			return err
		}
		return s.clear(ctx)
	}
}

// addReleased adds a volume whose claim has gone.
func (s *scene) addReleased(ctx context.Context, name string) error {
	volume, err := s.client.CoreV1().PersistentVolumes().Create(ctx, newVolume(name, types.NamespacedName{Namespace: namespace, Name: name}, types.UID(name)), metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("making a PersistentVolume: %w", err)
	}
	volume.Status.Phase = corev1.VolumeReleased
	if _, err := s.client.CoreV1().PersistentVolumes().UpdateStatus(ctx, volume, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("releasing a PersistentVolume: %w", err)
	}
	return nil
}

func (s *scene) allRemoved(ctx context.Context) (bool, error) {
	list, err := s.client.CoreV1().PersistentVolumes().List(ctx, metav1.ListOptions{Limit: 1, ResourceVersion: "0"})
	if err != nil {
		return false, fmt.Errorf("listing PersistentVolumes: %w", err)
	}
	return len(list.Items) == 0, nil
}

// rest has a contender find nothing to do, and looks at it for a while.
func rest(settle, watch time.Duration) play {
	return func(ctx context.Context, s *scene, c contender, m sample) (err error) {
		r, err := s.start(c)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, r.kill(), s.clear(ctx)) }()
		if err := sleep(ctx, settle); err != nil {
			return err
		}
		if err := s.log.restart(); err != nil {
			return err
		}
		before, err := r.usage()
		if err != nil {
			return err
		}
		if err := sleep(ctx, watch); err != nil {
			return err
		}
		after, err := r.usage()
		if err != nil {
			return errors.Join(err, r.ended())
		}
		if err := s.log.read(); err != nil {
			return err
		}
		m[cpuAtRest] = 100 * (after.cpu - before.cpu).Seconds() / watch.Seconds()
		m[peak], m[resident] = after.peak/megabyte, after.resident/megabyte
		ofLeases := func(r request) bool { return r.resource == leases }
		m[renewals] = float64(s.log.count(ofLeases)) / watch.Minutes()
		m[others] = float64(s.log.count(func(r request) bool { return !ofLeases(r) && !strings.HasPrefix(r.verb, "watch") })) / watch.Minutes()
		return nil
	}
}
