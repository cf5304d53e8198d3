package soak

import (
	"fmt"
	"time"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/figures"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/stage"
)

// Sample is the size of the sidecar's process at one moment.
type Sample struct {
	// At is the time since the beginning.
	At time.Duration
	figures.Process
}

// take measures the sidecar.
func take(sidecar *stage.Sidecar) (Sample, error) {
	_, metrics, err := sidecar.Get("/metrics")
	if err != nil {
		return Sample{}, fmt.Errorf("reading the sidecar's metrics: %w", err)
	}
	process, err := figures.MeasureProcess(sidecar.Pid(), metrics)
	return Sample{Process: process}, err
}
