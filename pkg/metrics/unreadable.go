package metrics

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// UnreadableRecord is a record of a volume in creation that can't be read.
type UnreadableRecord struct {
	// Node is empty for a process that works for all nodes.
	Node, ConfigMap, Key string
}

// WatchUnreadable has the records shown that a function returns when the metrics are
// read. No two functions may return the same record.
func (j *Journal) WatchUnreadable(list func() []UnreadableRecord) {
	j.unreadable.mu.Lock()
	defer j.unreadable.mu.Unlock()
	j.unreadable.lists = append(j.unreadable.lists, list)
}

type unreadableCollector struct {
	description *prometheus.Desc

	mu    sync.Mutex
	lists []func() []UnreadableRecord
}

// Describe implements prometheus.Collector.
func (c *unreadableCollector) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- c.description
}

// Collect implements prometheus.Collector.
func (c *unreadableCollector) Collect(collected chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, list := range c.lists {
		for _, r := range list() {
			collected <- prometheus.MustNewConstMetric(c.description, prometheus.GaugeValue, 1, r.Node, r.ConfigMap, r.Key)
		}
	}
}
