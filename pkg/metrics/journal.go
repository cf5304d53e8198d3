package metrics

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Journal measures the journal of volumes in creation.
type Journal struct {
	enabled prometheus.Gauge
	// known registers enabled, once.
	known   sync.Once
	commits *prometheus.CounterVec
	intents prometheus.Histogram
	// unreadable are asked for records that can't be read.
	unreadable *unreadableCollector
	registry   *prometheus.Registry
}

const journalSubsystem = "csi_provisioner_journal"

func newJournal(registry *prometheus.Registry) *Journal {
	j := &Journal{
		enabled: prometheus.NewGauge(prometheus.GaugeOpts{
			Subsystem: journalSubsystem, Name: "enabled",
			Help: "1 if volumes are recorded before they are created, 0 if not: a crash may lose some then.",
		}),
		commits: prometheus.NewCounterVec(prometheus.CounterOpts{
			Subsystem: journalSubsystem, Name: "commits_total",
			Help: "Writes of intents, by result: ok or failed.",
		}, []string{"result"}),
		intents: prometheus.NewHistogram(prometheus.HistogramOpts{
			Subsystem: journalSubsystem, Name: "commit_intents",
			Help:    "Intents in a successful write.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 10),
		}),
		unreadable: &unreadableCollector{description: prometheus.NewDesc(journalSubsystem+"_unreadable_record",
			"1 for each record that can't be read, and is kept: of the own node and, in node deployment, of others.",
			[]string{"node", "configmap", "key"}, nil)},
		registry: registry,
	}
	registry.MustRegister(j.commits, j.intents, j.unreadable)
	j.commits.WithLabelValues("ok")
	j.commits.WithLabelValues("failed")
	return j
}

// SetEnabled notes whether the journal is in use, or will be when this process leads. Until
// then, and where no volumes are created, there is no such metric.
func (j *Journal) SetEnabled(enabled bool) {
	j.known.Do(func() { j.registry.MustRegister(j.enabled) })
	value := 0.0
	if enabled {
		value = 1
	}
	j.enabled.Set(value)
}

// Committed counts a write of that many intents.
func (j *Journal) Committed(intents int, err error) {
	if err != nil {
		j.commits.WithLabelValues("failed").Inc()
		return
	}
	j.commits.WithLabelValues("ok").Inc()
	j.intents.Observe(float64(intents))
}

// Watch has the intents measured when the metrics are read: their number in each
// state, and how long the oldest has been open.
func (j *Journal) Watch(states []string, count func(state string) int, oldest func() time.Duration) {
	for _, state := range states {
		j.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Subsystem: journalSubsystem, Name: "intents",
			Help:        "Intents of volumes to create, by state.",
			ConstLabels: prometheus.Labels{"state": state},
		}, func() float64 { return float64(count(state)) }))
	}
	j.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Subsystem: journalSubsystem, Name: "oldest_intent_seconds",
		Help: "Seconds that the oldest intent has been open; 0 without one.",
	}, func() float64 { return oldest().Seconds() }))
}
