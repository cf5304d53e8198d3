package metrics

import (
	"strconv"
	"sync/atomic"
	"time"

	csimetrics "github.com/kubernetes-csi/csi-lib-utils/metrics"
	"github.com/prometheus/client_golang/prometheus"
)

// Calls measures the calls to the driver, csi_sidecar_operations_seconds, with the
// labels driver_name, method_name and grpc_status_code. For a driver that has taken
// the place of an in-tree plugin there is the label migrated, "true" for calls for
// volumes of the plugin. Methods may be called at once.
type Calls struct {
	current atomic.Pointer[calls]
}

// calls are those of one driver.
type calls struct {
	manager csimetrics.CSIMetricsManager
	// migrated and others record with the label; nil without it.
	migrated, others csimetrics.CSIMetricsManager
}

func newCalls() *Calls {
	c := &Calls{}
	c.current.Store(&calls{manager: newManager("")})
	return c
}

func newManager(driver string, options ...csimetrics.MetricsManagerOption) csimetrics.CSIMetricsManager {
	options = append(options, csimetrics.WithSubsystem(csimetrics.SubsystemSidecar),
		// The process collector reports the start time already.
		csimetrics.WithProcessStartTime(false))
	return csimetrics.NewCSIMetricsManagerWithOptions(driver, options...)
}

// SetDriver gives the driver's name, which calls before it were counted without.
func (c *Calls) SetDriver(name string) { c.current.Load().manager.SetDriverName(name) }

// SetMigratedDriver does so for a driver that has taken the place of an in-tree
// plugin. What was counted before has not the same labels, and is dropped, as the
// other CSI sidecars do.
func (c *Calls) SetMigratedDriver(name string) error {
	next := &calls{manager: newManager(name, csimetrics.WithMigration())}
	var err error
	for migrated, manager := range map[bool]*csimetrics.CSIMetricsManager{true: &next.migrated, false: &next.others} {
		if *manager, err = next.manager.WithLabelValues(map[string]string{csimetrics.LabelMigrated: strconv.FormatBool(migrated)}); err != nil {
			return err
		}
	}
	c.current.Store(next)
	return nil
}

// Record counts a call; it implements csi.Recorder.
func (c *Calls) Record(method string, migrated bool, err error, took time.Duration) {
	current := c.current.Load()
	switch {
	case current.others == nil:
		current.manager.RecordMetrics(method, err, took)
	case migrated:
		current.migrated.RecordMetrics(method, err, took)
	default:
		current.others.RecordMetrics(method, err, took)
	}
}

func (c *Calls) registry() prometheus.Gatherer { return c.current.Load().manager.GetRegistry() }
