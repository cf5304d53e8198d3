package controller_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/util/workqueue"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
)

func TestOptions(t *testing.T) {
	const (
		name    = "a controller needs a name"
		workers = "a controller needs at least 1 worker"
		retry   = "the retry interval must grow from a positive start"
	)
	for test, c := range map[string]struct {
		options controller.Options
		want    []string
	}{
		"zero":           {controller.Options{}, []string{name, workers + ", not 0", retry + ", not from 0s to 0s"}},
		"no name":        {controller.Options{Workers: 1, RetryStart: 1, RetryMax: 1}, []string{name}},
		"no workers":     {controller.Options{Name: "a", Workers: -1, RetryStart: 1, RetryMax: 1}, []string{workers + ", not -1"}},
		"no start":       {controller.Options{Name: "a", Workers: 1, RetryMax: time.Second}, []string{retry + ", not from 0s to 1s"}},
		"negative start": {controller.Options{Name: "a", Workers: 1, RetryStart: -1, RetryMax: 1}, []string{retry}},
		"max below":      {controller.Options{Name: "a", Workers: 1, RetryStart: 2, RetryMax: 1}, []string{retry}},
	} {
		t.Run(test, func(t *testing.T) {
			made, err := controller.New[string](c.options, nil)
			if made != nil || err == nil {
				t.Fatalf("New = %v, %v; want an error", made, err)
			}
			lines := strings.Split(err.Error(), "\n")
			if len(lines) != len(c.want) {
				t.Fatalf("error is %q, want %d lines", err, len(c.want))
			}
			for i, want := range c.want {
				if !strings.Contains(lines[i], want) {
					t.Errorf("line %d is %q, want %q in it", i, lines[i], want)
				}
			}
		})
	}
}

// A start that is the same as the max is a constant interval.
func TestConstantRetryInterval(t *testing.T) {
	options := defaults()
	options.RetryMax = options.RetryStart
	failure := outcome{err: errBroken()}
	running(t, options, script(failure, failure, failure), func(e *engine) {
		e.Add("a")
		e.advance(10 * time.Second)
		e.expect("a@0s", "a@1s", "a@2s", "a@3s")
	})
}

func TestMetrics(t *testing.T) {
	metrics := &metrics{values: map[string]float64{}}
	options := defaults()
	options.Metrics = metrics
	failure := outcome{err: errBroken()}
	running(t, options, script(failure, failure, outcome{result: controller.Result{RequeueAfter: time.Second}}), func(e *engine) {
		e.Add("a")
		e.advance(20 * time.Second)
		e.expect("a@0s", "a@1s", "a@3s", "a@4s")
		want := map[string]float64{
			"claims depth": 0, "claims adds": 4, "claims retries": 3,
			"claims latency": 4, "claims work": 4, "claims unfinished": 0, "claims longest": 0,
		}
		if diff := cmp.Diff(want, metrics.snapshot()); diff != "" {
			t.Errorf("metrics (-want +got):\n%s", diff)
		}
	})
}

// metrics counts what each metric of each queue is told: observations of a
// histogram, the value of all others.
type metrics struct {
	mu     sync.Mutex
	values map[string]float64
}

type metric struct {
	of  *metrics
	key string
}

func (m *metrics) snapshot() map[string]float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	values := map[string]float64{}
	for key, value := range m.values {
		values[key] = value
	}
	return values
}

func (m *metrics) metric(queue, name string) metric {
	made := metric{m, queue + " " + name}
	made.change(func(float64) float64 { return 0 })
	return made
}

func (m metric) change(f func(float64) float64) {
	m.of.mu.Lock()
	defer m.of.mu.Unlock()
	m.of.values[m.key] = f(m.of.values[m.key])
}

func (m metric) Inc()            { m.change(func(v float64) float64 { return v + 1 }) }
func (m metric) Dec()            { m.change(func(v float64) float64 { return v - 1 }) }
func (m metric) Observe(float64) { m.Inc() }
func (m metric) Set(v float64)   { m.change(func(float64) float64 { return v }) }

func (m *metrics) NewDepthMetric(queue string) workqueue.GaugeMetric {
	return m.metric(queue, "depth")
}

func (m *metrics) NewAddsMetric(queue string) workqueue.CounterMetric {
	return m.metric(queue, "adds")
}

func (m *metrics) NewLatencyMetric(queue string) workqueue.HistogramMetric {
	return m.metric(queue, "latency")
}

func (m *metrics) NewWorkDurationMetric(queue string) workqueue.HistogramMetric {
	return m.metric(queue, "work")
}

func (m *metrics) NewUnfinishedWorkSecondsMetric(queue string) workqueue.SettableGaugeMetric {
	return m.metric(queue, "unfinished")
}

func (m *metrics) NewLongestRunningProcessorSecondsMetric(queue string) workqueue.SettableGaugeMetric {
	return m.metric(queue, "longest")
}

func (m *metrics) NewRetriesMetric(queue string) workqueue.CounterMetric {
	return m.metric(queue, "retries")
}
