package price

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/cluster"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/inventory"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/load"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/stage"
)

const (
	driverName = "price.example"
	className  = "price"
	// apart is the time between two claims that come alone. More than a few in a second
	// are no lone ones: the journal makes those that come next wait for each other.
	apart = 300 * time.Millisecond
	// askers is how many clients make the claims of a burst.
	askers = 16
	// lookEvery is the time between two looks at the number of volumes.
	lookEvery = 25 * time.Millisecond
)

// bench is a cluster with a driver and a sidecar.
type bench struct {
	client  kubernetes.Interface
	sidecar *stage.Sidecar
	api     *cluster.Component
	options Options
}

func newBench(ctx context.Context, s *stage.Stage, mode string, options Options) (*bench, error) {
	driver, err := s.StartDriver(ctx, "price", driverName, "--backend=directory")
	if err != nil {
		return nil, err
	}
	class := load.NewClass(className, driverName, corev1.PersistentVolumeReclaimDelete)
	if err := (load.API{Client: s.Client}).CreateClass(ctx, class); err != nil {
		return nil, err
	}
	flags := append([]string{"--provisioning-journal=" + mode, "-v=0"}, options.Flags...)
	sidecar, err := s.StartSidecar(ctx, "sidecar", driver, flags...)
	if err != nil {
		return nil, err
	}
	if err := sidecar.WaitReady(ctx); err != nil {
		return nil, err
	}
	return &bench{client: s.Client, sidecar: sidecar, api: s.Cluster.Component(cluster.APIServer), options: options}, nil
}

// claim creates a claim. Nobody else names its driver.
func (b *bench) claim(ctx context.Context, name string) error {
	claims := load.API{Client: b.client}.Claims(metav1.NamespaceDefault)
	_, err := claims.Create(ctx, load.Annotated(load.NewClaim(name, className), driverName))
	return err
}

// alone returns the times from a claim to its stored PersistentVolume, and those of a
// write of something small, to compare with.
func (b *bench) alone(ctx context.Context) (lone, roundTrips []time.Duration, err error) {
	watcher, err := b.client.CoreV1().PersistentVolumes().Watch(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, nil, fmt.Errorf("watching PersistentVolumes: %w", err)
	}
	defer watcher.Stop()
	for n := range b.options.Lone {
		begin := time.Now()
		if err := b.claim(ctx, fmt.Sprintf("lone-%d", n)); err != nil {
			return nil, nil, err
		}
		if _, ok := <-watcher.ResultChan(); !ok {
			return nil, nil, fmt.Errorf("watching PersistentVolumes: the API server has ended the watch")
		}
		lone = append(lone, time.Since(begin))
		took, err := b.roundTrip(ctx, fmt.Sprintf("yardstick-%d", n))
		if err != nil {
			return nil, nil, err
		}
		roundTrips = append(roundTrips, took)
		// What is still to be written for this claim is not to meet the next one.
		if err := b.rest(ctx); err != nil {
			return nil, nil, err
		}
		select {
		case <-time.After(apart):
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
	return lone, roundTrips, nil
}

// roundTrip measures the creation of an object as small as a record of the journal.
func (b *bench) roundTrip(ctx context.Context, name string) (time.Duration, error) {
	begin := time.Now()
	_, err := b.client.CoreV1().ConfigMaps(metav1.NamespaceDefault).Create(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: name}, BinaryData: map[string][]byte{"content": make([]byte, 500)},
	}, metav1.CreateOptions{})
	if err != nil {
		return 0, fmt.Errorf("writing a ConfigMap: %w", err)
	}
	return time.Since(begin), nil
}

// burst has the sidecar find all claims at one moment. The sample holds what that took
// until all PersistentVolumes were stored, and the writes until the journal was empty.
func (b *bench) burst(ctx context.Context) (sample Sample, err error) {
	if err := b.ask(ctx); err != nil {
		return sample, err
	}
	before, err := b.writes(ctx)
	if err != nil {
		return sample, err
	}
	spent, err := b.cpu()
	if err != nil {
		return sample, err
	}
	begin := time.Now()
	if err := b.sidecar.Resume(); err != nil {
		return sample, err
	}
	if err := b.stored(ctx, b.options.Lone+b.options.Claims); err != nil {
		return sample, err
	}
	sample.Claims, sample.Took = b.options.Claims, time.Since(begin)
	if err := b.rest(ctx); err != nil {
		return sample, err
	}
	if sample.CPU, err = b.cpu(); err != nil {
		return sample, err
	}
	sample.CPU = sample.CPU.minus(spent)
	after, err := b.writes(ctx)
	sample.Writes = after.minus(before)
	return sample, err
}

// ask makes the claims of the burst. The sidecar stands still meanwhile, so that making
// them costs it nothing.
func (b *bench) ask(ctx context.Context) error {
	if err := b.sidecar.Pause(); err != nil {
		return err
	}
	var group errgroup.Group
	group.SetLimit(askers)
	for n := range b.options.Claims {
		group.Go(func() error { return b.claim(ctx, fmt.Sprintf("burst-%d", n)) })
	}
	return group.Wait()
}

// stored waits until there are that many PersistentVolumes.
func (b *bench) stored(ctx context.Context, volumes int) error {
	for {
		// The first page tells how many there are after it.
		list, err := b.client.CoreV1().PersistentVolumes().List(ctx, metav1.ListOptions{Limit: 1})
		if err != nil {
			return fmt.Errorf("counting PersistentVolumes: %w", err)
		}
		have := int64(len(list.Items))
		if list.RemainingItemCount != nil {
			have += *list.RemainingItemCount
		}
		if have >= int64(volumes) {
			return nil
		}
		if err := b.pause(ctx); err != nil {
			return fmt.Errorf("%d of %d volumes are stored: %w", have, volumes, err)
		}
	}
}

// rest waits until the journal is empty.
func (b *bench) rest(ctx context.Context) error {
	for {
		batches, err := inventory.Batches(ctx, b.client, driverName, 1)
		if err != nil || len(batches) == 0 {
			return err
		}
		if err := b.pause(ctx); err != nil {
			return fmt.Errorf("the journal is not empty: %w", err)
		}
	}
}

func (b *bench) pause(ctx context.Context) error {
	select {
	case <-time.After(lookEvery):
	case <-b.sidecar.Done():
		return fmt.Errorf("the sidecar has ended: %w", b.sidecar.Wait())
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}
