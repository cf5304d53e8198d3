package soak

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/proxy"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/stage"
)

// Options of a soak.
type Options struct {
	Duration time.Duration
	// Users is how many claims live at one time, Rest the time between two claims
	// of a user.
	Users int
	Rest  time.Duration
	// SampleEvery is the time between two looks at the process, FaultEvery that
	// between two faults, on average.
	SampleEvery, FaultEvery time.Duration
	Seed                    uint64
	// Progress is told what happens.
	Progress func(message string)
}

const (
	driverName = "soak.example"
	className  = "soak"
	// password is the value of the Secret, which may be seen nowhere.
	password = "t0p-Secret-of-soak"
	// progressEvery is the time between two reports.
	progressEvery = time.Minute
)

// soak is what one run works with.
type soak struct {
	options Options
	stage   *stage.Stage
	client  kubernetes.Interface
	driver  *stage.Driver
	api     *proxy.Proxy
	sidecar *stage.Sidecar

	volumes atomic.Int64 // that have lived to their end
	faults  atomic.Int64
	// driverLife is held while the driver is restarted.
	driverLife sync.Mutex
}

// Run soaks, and returns what it saw. The error says what is wrong, but for growth,
// which is for [Judge] to find.
func Run(ctx context.Context, s *stage.Stage, options Options) (*Result, error) {
	k := &soak{options: options, stage: s, client: s.Client}
	if err := k.furnish(ctx); err != nil {
		return nil, err
	}
	defer func() { _ = k.api.Close() }()
	begin := time.Now()
	samples, err := k.soak(ctx)
	result := &Result{Took: time.Since(begin), Volumes: int(k.volumes.Load()), Faults: int(k.faults.Load()), Samples: samples}
	if err != nil {
		return result, err
	}
	return result, errors.Join(k.nothingLeft(ctx), k.end())
}

// furnish starts the driver and the sidecar.
func (k *soak) furnish(ctx context.Context) (err error) {
	k.driver, err = k.stage.StartDriver(ctx, "soak", driverName, "--backend=directory",
		// Nobody is there to grow file systems, or to attach volumes.
		"--node-capabilities=*,-EXPAND_VOLUME", "--controller-capabilities=*,-PUBLISH_UNPUBLISH_VOLUME")
	if err != nil {
		return err
	}
	if err := k.stage.Apply(ctx, manifests()); err != nil {
		return err
	}
	if k.api, err = k.stage.Proxy(); err != nil { //nolint:contextcheck // the proxy lasts longer than a call
		return err
	}
	k.sidecar, err = k.stage.StartSidecar(ctx, "soak", k.driver, stage.Through(k.api), "--leader-election",
		// An API server that restarts on a busy machine is not to cost the lease: this is
		// about one process.
		"--leader-election-lease-duration=120s", "--leader-election-renew-deadline=90s",
		"--timeout=5s", "--retry-interval-start=200ms", "--retry-interval-max=5s", "-v=2")
	return err
}

// soak lets everybody do their part until the time is over, and returns the samples.
func (k *soak) soak(ctx context.Context) ([]Sample, error) {
	// Users finish what they have begun; the faults end with the time.
	working, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	over, done := context.WithTimeout(working, k.options.Duration)
	defer done()
	var group sync.WaitGroup
	for n := range k.options.Users {
		group.Go(func() {
			if err := k.user(working, over.Done(), n); err != nil {
				cancel(fmt.Errorf("user %d: %w", n, err))
			}
		})
	}
	group.Go(func() { k.trouble(over, rand.New(rand.NewPCG(k.options.Seed, 0))) })
	group.Go(func() {
		select {
		case <-k.sidecar.Done():
			cancel(fmt.Errorf("the sidecar has ended: %w (log %s)", k.sidecar.Wait(), k.sidecar.LogFile()))
		case <-over.Done():
		}
	})
	samples, err := k.watch(over)
	if err != nil {
		cancel(err)
	}
	group.Wait()
	return samples, context.Cause(working)
}

// watch takes samples until the time is over.
func (k *soak) watch(over context.Context) ([]Sample, error) {
	var samples []Sample
	begin, told := time.Now(), time.Now()
	for sleep(over, k.options.SampleEvery) {
		sample, err := take(k.sidecar)
		if err != nil {
			return samples, err
		}
		sample.At = time.Since(begin)
		samples = append(samples, sample)
		if time.Since(told) < progressEvery {
			continue
		}
		told = time.Now()
		k.options.Progress(fmt.Sprintf("%5.0f min  %6d volumes, %4d faults; %s", sample.At.Minutes(), k.volumes.Load(), k.faults.Load(), sample))
		// This process is not to grow either.
		k.api.Forget()
		_ = k.driver.Control.ClearCalls(over) // a driver that is away has its next turn
	}
	return samples, nil
}

// nothingLeft waits until all volumes are gone, and the journal is empty.
func (k *soak) nothingLeft(ctx context.Context) error {
	return await(ctx, "nothing is left", func() error {
		volumes, err := k.driver.Control.Volumes(ctx)
		if err != nil {
			return err
		}
		persistent, err := k.client.CoreV1().PersistentVolumes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		segments, err := k.client.CoreV1().ConfigMaps(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{LabelSelector: "csi-provisioner/journal=" + driverName})
		if err != nil {
			return err
		}
		if left := len(volumes) + len(persistent.Items) + len(segments.Items); left > 0 {
			return fmt.Errorf("there are %d volumes at the driver, %d PersistentVolumes and %d segments of the journal", len(volumes), len(persistent.Items), len(segments.Items))
		}
		return nil
	})
}

// end stops the sidecar, which is to do that in good order, and to have kept its
// secret.
func (k *soak) end() error {
	if err := terminate(k.sidecar); err != nil {
		return err
	}
	if strings.Contains(k.sidecar.Log(), password) {
		return fmt.Errorf("the log %s holds the value of a Secret", k.sidecar.LogFile())
	}
	return nil
}
