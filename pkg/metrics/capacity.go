package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
)

// Capacities are the numbers behind the metrics of CSIStorageCapacity objects.
type Capacities struct {
	// Goal is the number of objects that there shall be, Current the number of those
	// that there are, Obsolete the number of objects that are to be deleted.
	Goal, Current, Obsolete int
}

// WatchCapacities has the numbers counted when the metrics are read:
// csistoragecapacities_desired_goal and the like. Without it there are none.
func (s *Set) WatchCapacities(count func() Capacities) {
	describe := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("csistoragecapacities_"+name, help, nil, nil)
	}
	s.registry.MustRegister(capacityCollector{
		count:    count,
		goal:     describe("desired_goal", "CSIStorageCapacity objects that there shall be: one for each class and topology segment."),
		current:  describe("desired_current", "CSIStorageCapacity objects that there shall be, and that there are."),
		obsolete: describe("obsolete", "CSIStorageCapacity objects that are to be deleted."),
	})
}

// capacityCollector counts once for all of its metrics.
type capacityCollector struct {
	count                   func() Capacities
	goal, current, obsolete *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c capacityCollector) Describe(descriptions chan<- *prometheus.Desc) {
	for _, description := range []*prometheus.Desc{c.goal, c.current, c.obsolete} {
		descriptions <- description
	}
}

// Collect implements prometheus.Collector.
func (c capacityCollector) Collect(collected chan<- prometheus.Metric) {
	counted := c.count()
	for description, value := range map[*prometheus.Desc]int{c.goal: counted.Goal, c.current: counted.Current, c.obsolete: counted.Obsolete} {
		collected <- prometheus.MustNewConstMetric(description, prometheus.GaugeValue, float64(value))
	}
}
