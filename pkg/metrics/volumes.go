package metrics

import (
	"time"

	library "sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller/metrics"
)

// Volumes counts what became of claims and volumes, by class; for claims, also
// by the kind of the data source, which is empty without one. Durations are
// those of the attempt that succeeded, in seconds.
type Volumes struct{ metrics library.Metrics }

// Provisioned counts a claim whose volume is stored.
func (v *Volumes) Provisioned(class, source string, took time.Duration) {
	v.metrics.PersistentVolumeClaimProvisionTotal.WithLabelValues(class, source).Inc()
	v.metrics.PersistentVolumeClaimProvisionDurationSeconds.WithLabelValues(class, source).Observe(took.Seconds())
}

// ProvisionFailed counts a failed attempt.
func (v *Volumes) ProvisionFailed(class, source string) {
	v.metrics.PersistentVolumeClaimProvisionFailedTotal.WithLabelValues(class, source).Inc()
}

// Deleted counts a volume that is gone.
func (v *Volumes) Deleted(class string, took time.Duration) {
	v.metrics.PersistentVolumeDeleteTotal.WithLabelValues(class).Inc()
	v.metrics.PersistentVolumeDeleteDurationSeconds.WithLabelValues(class).Observe(took.Seconds())
}

// DeleteFailed counts a failed attempt.
func (v *Volumes) DeleteFailed(class string) {
	v.metrics.PersistentVolumeDeleteFailedTotal.WithLabelValues(class).Inc()
}
