package capacity

import (
	"context"
	"errors"
	"fmt"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
	"github.com/csi-provisioner/csi-provisioner/pkg/names"
	plan "github.com/csi-provisioner/csi-provisioner/pkg/plan/capacity"
)

// result says when a pair is looked at again.
func result(err error) (controller.Result, error) {
	if err == nil {
		return controller.Result{}, nil
	}
	return controller.Result{WaitFor: []controller.Dependency{controller.DriverReconnected()}}, err
}

func (c *Controller) apply(ctx context.Context, in plan.Input, d plan.Decision) error {
	var errs []error
	for _, object := range d.Delete {
		errs = append(errs, c.deps.Store.Delete(ctx, object))
	}
	if d.Request != nil {
		errs = append(errs, c.publish(ctx, in, d))
	}
	return errors.Join(errs...)
}

// publish asks the driver and writes down its answer. What was published before
// stays as it is when the driver does not answer.
func (c *Controller) publish(ctx context.Context, in plan.Input, d plan.Decision) error {
	answer, err := c.deps.Driver.GetCapacity(ctx, d.Request)
	if err != nil {
		return c.unknown(in, err)
	}
	err = c.write(ctx, in, d.Keep, answer)
	if !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) {
		return err
	}
	return c.rewrite(ctx, in, d.Keep, answer)
}

// write writes down an answer in the object, or in a new one.
func (c *Controller) write(ctx context.Context, in plan.Input, keep *storagev1.CSIStorageCapacity, answer *csipb.GetCapacityResponse) error {
	w, err := plan.Conclude(in, keep, answer)
	switch {
	case err != nil:
		return c.report(in, err)
	case w.Create != nil:
		return c.deps.Store.Create(ctx, w.Create)
	case w.From != nil:
		patched, err := c.deps.Store.Patch(ctx, w.From, w.To)
		if err != nil {
			return err
		}
		c.written.Remember(patched)
	}
	return nil
}

// rewrite writes down an answer after the informer has turned out to be behind:
// in the object as it is now.
func (c *Controller) rewrite(ctx context.Context, in plan.Input, keep *storagev1.CSIStorageCapacity, answer *csipb.GetCapacityResponse) error {
	name := in.Name()
	if keep != nil {
		name = keep.Name
	}
	now, err := c.deps.Store.Get(ctx, in.Namespace, name)
	if err != nil {
		return err
	}
	if in.Owns(now) {
		return c.write(ctx, in, now, answer)
	}
	// Somebody has taken the labels off the object, and with them the object: it is
	// left alone, and the pair gets another one.
	w, err := plan.Conclude(in, nil, answer)
	if err != nil {
		return err
	}
	w.Create.Name, w.Create.GenerateName = "", names.CapacityPrefix
	return c.deps.Store.Create(ctx, w.Create)
}

// unknown reports that the driver has not told the capacity.
func (c *Controller) unknown(in plan.Input, err error) error {
	if errors.Is(err, csi.ErrStopping) {
		return err // nothing that anybody must fix
	}
	if csi.Unimplemented(err) {
		err = fmt.Errorf("%w: without GetCapacity in the driver, --enable-capacity is of no use", csi.Plain(err))
		return controller.Terminal(c.report(in, err))
	}
	return c.report(in, csi.Plain(err))
}

// report tells of an error about the driver's answer in an event about the class,
// and returns it.
func (c *Controller) report(in plan.Input, err error) error {
	where := "in topology " + in.Segment.String()
	if len(in.Segment) == 0 {
		where = "in the cluster"
	}
	err = fmt.Errorf("asking CSI driver %q for the capacity for StorageClass %q %s: %w", in.Driver, in.Class.Name, where, err)
	c.deps.Events.Warning(in.Class, names.ReasonStorageCapacityFailed, err.Error())
	return err
}
