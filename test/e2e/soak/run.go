package soak

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/faults"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/inventory"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/load"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/proxy"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/stage"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/wait"
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
	namespace  = "soak"
	// patience is how long each step of a volume's life is tried, in spite of all faults.
	patience = 3 * time.Minute
	askEvery = 300 * time.Millisecond
	// progressEvery is the time between two reports.
	progressEvery = time.Minute
)

// soak is what one run works with.
type soak struct {
	options  Options
	stage    *stage.Stage
	cluster  load.API
	driver   *stage.Driver
	api      *proxy.Proxy
	sidecar  *stage.Sidecar
	injector *faults.Injector

	volumes atomic.Int64 // that have lived to their end
}

// Run soaks, and returns what it saw. The error says what is wrong, except for an
// increase, which is for [Result.Judge] to find.
func Run(ctx context.Context, s *stage.Stage, options Options) (*Result, error) {
	k := &soak{options: options, stage: s, cluster: load.API{Client: s.Client, Patience: wait.Patience{For: patience, Every: askEvery}}}
	if err := k.furnish(ctx); err != nil {
		return nil, err
	}
	defer func() { _ = k.api.Close() }()
	begin := time.Now()
	samples, err := k.soak(ctx)
	result := &Result{Took: time.Since(begin), Volumes: int(k.volumes.Load()), Faults: k.injector.Counts.Total(), Samples: samples}
	if err != nil {
		return result, err
	}
	return result, errors.Join(k.nothingLeft(ctx), k.end())
}

// furnish starts the driver and the sidecar.
func (k *soak) furnish(ctx context.Context) (err error) {
	if k.driver, err = k.stage.StartDriver(ctx, "soak", driverName, stage.ControllerOnly()...); err != nil {
		return err
	}
	if err := k.cluster.CreateNamespace(ctx, namespace); err != nil {
		return err
	}
	class := load.NewClass(className, driverName, corev1.PersistentVolumeReclaimDelete)
	if err := k.cluster.CreateClass(ctx, load.WithSecret(class, namespace)); err != nil {
		return err
	}
	if k.api, err = k.stage.Proxy(); err != nil { //nolint:contextcheck // the proxy lasts longer than a call
		return err
	}
	k.injector = &faults.Injector{Cluster: k.stage.Cluster, API: k.cluster, Driver: k.driver, Proxy: k.api, Turn: &sync.Mutex{}}
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
	group.Go(func() { k.trouble(working, over, faults.NewDice(k.options.Seed, 0)) })
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
	for wait.Sleep(over, k.options.SampleEvery) {
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
		k.options.Progress(fmt.Sprintf("%5.0f min  %6d volumes, %4d faults; %s", sample.At.Minutes(), k.volumes.Load(), k.injector.Counts.Total(), sample))
		// This process must not get bigger either.
		k.api.Forget()
		_ = k.driver.Control.ClearCalls(over) // a driver that is away has its next turn
	}
	return samples, nil
}

// nothingLeft waits until nothing is left of any volume, and the journal is empty.
func (k *soak) nothingLeft(ctx context.Context) error {
	reader := inventory.Reader{Client: k.cluster.Client, Driver: k.driver, IsUsers: inventory.InNamespace(namespace)}
	return reader.WaitEmpty(ctx, k.cluster.Patience)
}

// stopPatience bounds the end of the sidecar.
const stopPatience = 30 * time.Second

// end stops the sidecar, which must end in good order, and must have kept its secret.
func (k *soak) end() error {
	if err := k.sidecar.Terminate(stopPatience); err != nil {
		return err
	}
	if load.Reveals(k.sidecar.Log()) {
		return fmt.Errorf("the log %s holds the value of a Secret", k.sidecar.LogFile())
	}
	return nil
}
