package metrics

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	library "sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller/metrics"
)

// Set is all metrics of one process.
type Set struct {
	// Calls measures the calls to the driver: csi_sidecar_operations_seconds.
	Calls *Calls
	// Volumes counts what became of claims and volumes:
	// controller_persistentvolumeclaim_provision_total and the like.
	Volumes *Volumes
	// Journal measures the journal of volumes in creation.
	Journal *Journal
	// Queues measures the controllers' queues: workqueue_depth and the like.
	Queues *Queues
	// Leading is 1 for the lease that this process holds, by its name:
	// leader_election_master_status.
	Leading *prometheus.GaugeVec
	// Renewals counts, by the name of the lease, how often this process had to read
	// the lease that it holds to renew it: leader_election_slowpath_total.
	Renewals *prometheus.CounterVec
	// Requests measures the requests to the API server: rest_client_requests_total
	// and the like.
	Requests *Requests

	registry *prometheus.Registry
}

// New returns a set in which nothing has been counted. The driver's name is not
// known yet; Calls.SetDriver gives it.
func New() *Set {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(collectors.MetricsAll)),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	leading := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "leader_election_master_status",
		Help: "1 if this process holds the lease of the label name, 0 if not.",
	}, []string{"name"})
	renewals := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "leader_election_slowpath_total",
		Help: "Renewals of the lease of the label name that failed at first, so that it had to be read.",
	}, []string{"name"})
	registry.MustRegister(leading, renewals)
	return &Set{
		Calls:    newCalls(),
		Volumes:  newVolumes(registry),
		Journal:  newJournal(registry),
		Queues:   newQueues(registry),
		Leading:  leading,
		Renewals: renewals,
		Requests: newRequests(registry),
		registry: registry,
	}
}

// Handler serves the metrics.
func (s *Set) Handler() http.Handler {
	return promhttp.InstrumentMetricHandler(s.registry, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Where the calls are counted changes when the driver's name is known.
		promhttp.HandlerFor(s.Gatherer(), promhttp.HandlerOpts{}).ServeHTTP(w, r)
	}))
}

// Gatherer reads the metrics in which something has been counted.
func (s *Set) Gatherer() prometheus.Gatherer {
	return prometheus.Gatherers{s.registry, s.Calls.registry()}
}

// Describe sends what there is to be counted, but for the calls to the driver.
func (s *Set) Describe(descriptions chan<- *prometheus.Desc) { s.registry.Describe(descriptions) }

// subsystem is the prefix of the library's metrics, as external-provisioner
// sets it.
const subsystem = "controller"

func newVolumes(registry *prometheus.Registry) *Volumes {
	m := library.New(subsystem)
	registry.MustRegister(
		m.PersistentVolumeClaimProvisionTotal,
		m.PersistentVolumeClaimProvisionFailedTotal,
		m.PersistentVolumeClaimProvisionDurationSeconds,
		m.PersistentVolumeDeleteTotal,
		m.PersistentVolumeDeleteFailedTotal,
		m.PersistentVolumeDeleteDurationSeconds,
	)
	return &Volumes{m}
}
