package sidecar

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/klog/v2"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/controller/expand"
	"github.com/csi-provisioner/csi-provisioner/pkg/controller/modify"
	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	plan "github.com/csi-provisioner/csi-provisioner/pkg/plan/expand"
	modifyplan "github.com/csi-provisioner/csi-provisioner/pkg/plan/modify"
)

// resizer expands and modifies volumes.
type resizer struct {
	process  *process
	expander *expand.Controller
	expand   *controller.Controller[expand.Key]
	// modifier and modify are nil where volumes are not modified.
	modifier *modify.Controller
	modify   *controller.Controller[modify.Key]
}

func (p *process) newResizer(s shared) (*resizer, error) {
	z, info := p.config.Resizer, p.session.Info()
	if can := info.Capabilities; !can.ControllerExpand && !can.NodeExpand && !can.Modify && !p.config.Controllers.Provisioner {
		return nil, fmt.Errorf("CSI driver %q can neither expand nor modify volumes: there is nothing to do with --controllers=resizer", info.Name)
	}
	r := &resizer{process: p}
	pods := kube.NewPods(p.clients.Core, p.clock, func(namespace string) { r.expand.Wake(expand.PodEnded(namespace)) })
	r.expander = expand.New(expand.Deps{
		Claims:  p.informers.ClaimLister(),
		Volumes: p.informers.VolumeLister(),
		Classes: p.informers.ClassLister(),
		Driver:  s.driver,
		Secrets: s.secrets,
		Status:  s.claims,
		Store:   s.volumes,
		InTree:  p.inTree,
		Pods:    pods,
		Events:  p.events,
		Locks:   s.locks,
		Clock:   p.clock,
	}, expand.Config{
		Driver:       info.Name,
		Capabilities: info.Capabilities,
		Options: plan.Options{
			RecoverVolumeExpansionFailure: p.config.Gates.RecoverVolumeExpansionFailure,
			AnnotateFsResize:              p.config.Gates.AnnotateFsResize,
			BackfillExpandSecrets:         z.BackfillExpandSecrets,
		},
		HandleVolumeInUseError: z.HandleVolumeInUseError,
		InfeasibleRetry:        z.RetryMax,
	})
	var err error
	if r.expand, err = controller.New(p.queue("expansions", z.Threads, z.RetryStart, z.RetryMax), r.expander); err != nil {
		return nil, err
	}
	if p.informers.AttributesClasses == nil {
		return r, nil
	}
	return r, r.addModifier(s)
}

func (r *resizer) addModifier(s shared) error {
	p := r.process
	z, info := p.config.Resizer, p.session.Info()
	r.modifier = modify.New(modify.Deps{
		Claims:       p.informers.ClaimLister(),
		Volumes:      p.informers.VolumeLister(),
		Classes:      p.informers.AttributesClassLister(),
		Driver:       s.driver,
		Secrets:      s.secrets,
		ClaimStatus:  s.claims,
		VolumeWriter: s.volumes,
		Events:       p.events,
		Locks:        s.locks,
		Clock:        p.clock,
	}, modify.Config{
		Driver:          info.Name,
		Capabilities:    info.Capabilities,
		Options:         modifyplan.Options{ExtraModifyMetadata: z.ExtraModifyMetadata},
		InfeasibleRetry: z.RetryMax,
	})
	var err error
	r.modify, err = controller.New(p.queue("modifications", z.Threads, z.RetryStart, z.RetryMax), r.modifier)
	return err
}

// watch: see [part].
func (r *resizer) watch(p *process) error {
	err := r.expander.Watch(p.informers, r.expand)
	if r.modify != nil {
		err = errors.Join(err, r.modifier.Watch(p.informers, r.modify))
	}
	return err
}

// prepare has nothing to do: all that is to be taken over is written on the
// claims and volumes.
func (r *resizer) prepare(context.Context) error { return nil }

// run: see [part]. Expanding and modifying have a worker pool each, as in
// external-resizer; the lock of a volume makes them take turns.
func (r *resizer) run(ctx context.Context, stop <-chan struct{}) {
	var running sync.WaitGroup
	running.Go(func() { r.expand.Run(ctx, stop) })
	if r.modify != nil {
		running.Go(func() { r.modify.Run(ctx, stop) })
	}
	running.Go(func() { r.resync(ctx, stop) })
	running.Wait()
}

// resync looks at all claims again in the period of --resync-period, for what no
// event has told.
func (r *resizer) resync(ctx context.Context, stop <-chan struct{}) {
	period := r.process.config.Resizer.Resync
	if period == time.Duration(0) {
		return
	}
	ticker := r.process.clock.NewTicker(period)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C():
		case <-stop:
			return
		case <-ctx.Done():
			return
		}
		claims, err := r.process.informers.ClaimLister().List(labels.Everything())
		if err != nil {
			klog.FromContext(ctx).Error(err, "Looking at all claims again")
		}
		for _, claim := range claims {
			expand.Look(nil, claim, r.expand)
			if r.modify != nil {
				modify.Look(nil, claim, r.modify)
			}
		}
	}
}

// driverBack: see [part].
func (r *resizer) driverBack() {
	r.expand.Wake(controller.DriverReconnected())
	if r.modify != nil {
		r.modify.Wake(controller.DriverReconnected())
	}
}
