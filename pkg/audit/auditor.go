package audit

import (
	"context"
	"fmt"
	"time"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

// Volumes lists the driver's volumes. See [csi.Lister].
type Volumes interface {
	List(ctx context.Context) ([]*csipb.Volume, error)
}

// PersistentVolumes lists the PersistentVolumes of the driver, each as it was
// after the call began.
type PersistentVolumes interface {
	List(ctx context.Context) ([]PersistentVolume, error)
}

// Auditor gathers evidence. All fields but Settle are needed.
type Auditor struct {
	Driver            string
	Volumes           Volumes
	PersistentVolumes PersistentVolumes
	Intents           Intents
	// Settle is the time between the first look and the second, in which what is
	// under way may end.
	Settle time.Duration
	Clock  clock.Clock
}

// looks is the number of looks that it takes to call a volume unknown or gone.
const looks = 2

// Run looks once, and when something is not in order once more, and reports. The
// journal may be unreadable for want of the right to; the report says so then.
func (a *Auditor) Run(ctx context.Context) (*Report, error) {
	e := Evidence{Driver: a.Driver}
	var err error
	if e.Before, err = a.PersistentVolumes.List(ctx); err != nil {
		return nil, err
	}
	for {
		look, forbidden, err := a.look(ctx)
		if err != nil {
			return nil, err
		}
		e.Looks = append(e.Looks, look)
		report := Compare(e)
		if forbidden != nil {
			report.Notes = append(report.Notes, fmt.Sprintf("the journal could not be read, so that volumes in creation are not told from unknown ones: %v", forbidden))
		}
		if len(e.Looks) == looks || !report.Suspicious() {
			return report, nil
		}
		if err := a.settle(ctx); err != nil {
			return nil, err
		}
	}
}

// look gathers one look; the order matters. The second value is the error of a
// journal that may not be read.
func (a *Auditor) look(ctx context.Context) (look Look, forbidden, err error) {
	volumes, err := a.Volumes.List(ctx)
	if err != nil {
		return Look{}, nil, err
	}
	for _, v := range volumes {
		look.Volumes = append(look.Volumes, volumeOf(v))
	}
	look.Records, err = a.Intents.List(ctx)
	if apierrors.IsForbidden(err) {
		forbidden, err = err, nil
	}
	if err != nil {
		return Look{}, nil, fmt.Errorf("reading the journal: %w", err)
	}
	look.PersistentVolumes, err = a.PersistentVolumes.List(ctx)
	return look, forbidden, err
}

func (a *Auditor) settle(ctx context.Context) error {
	if a.Settle <= 0 {
		return nil
	}
	klog.FromContext(ctx).Info("Some volumes are not in order: looking again", "in", a.Settle)
	select {
	case <-a.Clock.After(a.Settle):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for the second look: %w", context.Cause(ctx))
	}
}
