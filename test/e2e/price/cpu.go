package price

import (
	"time"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/figures"
)

// CPU is processor time.
type CPU struct{ Sidecar, API time.Duration }

func (c CPU) minus(other CPU) CPU {
	return CPU{Sidecar: c.Sidecar - other.Sidecar, API: c.API - other.API}
}

func (c CPU) total() float64 { return (c.Sidecar + c.API).Seconds() }

// cpu returns what the processes have used so far.
func (b *bench) cpu() (c CPU, err error) {
	if c.Sidecar, err = figures.CPU(b.sidecar.Pid()); err != nil {
		return c, err
	}
	c.API, err = figures.CPU(b.api.Process().Pid())
	return c, err
}
