package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"k8s.io/client-go/util/workqueue"

	"github.com/csi-provisioner/csi-provisioner/pkg/metrics"
)

const metricsIntroduction = `# Metrics

Served at ` + "`--metrics-path` of `--http-endpoint`" + `, by the process that works and by those
that stand by. Names, labels and buckets are those of external-provisioner and
external-resizer, so that dashboards keep working; what begins with
` + "`csi_provisioner_`" + ` they do not have.

`

const metricsEnd = `
Beside these there are ` + "`go_*` and `process_*`" + `, which the Go client of Prometheus measures.

The label ` + "`name`" + ` of a queue is one of ` + "`claims`" + ` (volumes to make), ` + "`volumes`" + ` (to delete),
` + "`expansions`, `modifications`, `protections`" + ` (of sources that are restored and cloned) and
` + "`csistoragecapacity`" + `.
`

// metricsPage describes what is measured.
func metricsPage() (string, error) {
	families, err := sampled()
	if err != nil {
		return "", err
	}
	words := ownWords()
	rows := newTable("metric", "type", "labels", "meaning")
	buckets := map[string][]string{} // the metrics, by their buckets
	for _, family := range families {
		kind := strings.ToLower(family.GetType().String())
		meaning, ok := words[family.GetName()]
		if !ok {
			meaning = family.GetHelp()
		}
		delete(words, family.GetName())
		rows.row(code(family.GetName()), kind, labelsOf(family), meaning)
		if bounds := bucketsOf(family); bounds != "" {
			buckets[bounds] = append(buckets[bounds], code(family.GetName()))
		}
	}
	if len(words) > 0 {
		return "", fmt.Errorf("there are words for metrics that do not exist: %v", words)
	}
	return generated + metricsIntroduction + rows.String() + bucketsText(buckets) + metricsEnd, nil
}

// ownWords tells, by name, what those metrics mean that come with a library.
func ownWords() map[string]string {
	return map[string]string{
		"controller_persistentvolumeclaim_provision_total":            "Claims that have got a volume, by class and kind of the data source.",
		"controller_persistentvolumeclaim_provision_failed_total":     "Attempts that have failed, each with an event.",
		"controller_persistentvolumeclaim_provision_duration_seconds": "Seconds that the attempt took that made the volume.",
		"controller_persistentvolume_delete_total":                    "Volumes that were deleted, by class.",
		"controller_persistentvolume_delete_failed_total":             "Attempts that have failed, each with an event.",
		"controller_persistentvolume_delete_duration_seconds":         "Seconds that the attempt took that deleted the volume.",
		"csi_sidecar_operations_seconds":                              "Seconds that a call to the driver took, by method and result (`OK`, or the name of the gRPC code); for a driver that has taken the place of an in-tree plugin, also by whether it was for a volume of the plugin (the label `migrated`).",
		"promhttp_metric_handler_requests_in_flight":                  "Readings of the metrics under way.",
		"promhttp_metric_handler_requests_total":                      "Readings of the metrics, by HTTP status.",
	}
}

// sampled returns all metrics, each of which has been counted. Those of the runtime
// are left out: they depend on the version of Go.
func sampled() ([]*dto.MetricFamily, error) {
	set := metrics.New()
	useAll(set)
	all, err := set.Gatherer().Gather()
	if err != nil {
		return nil, fmt.Errorf("reading the metrics: %w", err)
	}
	all = slices.DeleteFunc(all, func(family *dto.MetricFamily) bool { return ofTheRuntime(family.GetName()) })
	slices.SortFunc(all, func(a, b *dto.MetricFamily) int { return cmp.Compare(a.GetName(), b.GetName()) })
	return all, errors.Join(missing(set, all)...)
}

// missing returns an error for each metric that has not been counted: it would
// not be described.
func missing(set *metrics.Set, families []*dto.MetricFamily) []error {
	descriptions := make(chan *prometheus.Desc)
	go func() {
		set.Describe(descriptions)
		close(descriptions)
	}()
	var errs []error
	name := regexp.MustCompile(`fqName: "([^"]+)"`)
	for description := range descriptions {
		match := name.FindStringSubmatch(description.String())
		if match == nil {
			errs = append(errs, fmt.Errorf("a metric without a name: %s", description))
			continue
		}
		known := slices.ContainsFunc(families, func(family *dto.MetricFamily) bool { return family.GetName() == match[1] })
		if !known && !ofTheRuntime(match[1]) {
			errs = append(errs, fmt.Errorf("the metric %s is not counted in hack/docs: count it there", match[1]))
		}
	}
	return errs
}

func ofTheRuntime(name string) bool {
	return strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_")
}

// useAll counts everything that can be counted.
func useAll(set *metrics.Set) {
	set.Volumes.Provisioned("class", "VolumeSnapshot", time.Second)
	set.Volumes.ProvisionFailed("class", "VolumeSnapshot")
	set.Volumes.Deleted("class", time.Second)
	set.Volumes.DeleteFailed("class")
	set.Calls.SetDriver("driver")
	set.Calls.Record("/csi.v1.Controller/CreateVolume", false, nil, time.Second)
	set.Journal.SetEnabled(true)
	set.Journal.Committed(1, nil)
	set.Journal.Watch([]string{"creating"}, func(string) int { return 0 }, func() time.Duration { return 0 })
	set.Journal.WatchUnreadable(func() []metrics.UnreadableRecord {
		return []metrics.UnreadableRecord{{Node: "node", ConfigMap: "name", Key: "uid"}}
	})
	set.Leading.WithLabelValues("lease").Set(1)
	set.Renewals.WithLabelValues("lease").Inc()
	// What comes of the request does not matter.
	_, _ = set.Requests.Measure(time.Now)(nowhere{}).RoundTrip(httptest.NewRequest(http.MethodGet, "http://host/", nil)) //nolint:bodyclose // There is none.
	set.WatchCapacities(func() metrics.Capacities { return metrics.Capacities{} })
	queue := workqueue.NewTypedRateLimitingQueueWithConfig(workqueue.DefaultTypedControllerRateLimiter[string](),
		workqueue.TypedRateLimitingQueueConfig[string]{Name: "claims", MetricsProvider: set.Queues})
	queue.Add("key")
	queue.Get()
	queue.Done("key")
	queue.ShutDown()
	// Serving the metrics is counted, too.
	request := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	set.Handler().ServeHTTP(httptest.NewRecorder(), request)
}

// nowhere is a transport that reaches nobody.
type nowhere struct{}

func (nowhere) RoundTrip(*http.Request) (*http.Response, error) { return nil, http.ErrServerClosed }

func labelsOf(family *dto.MetricFamily) string {
	var all []string
	for _, label := range family.GetMetric()[0].GetLabel() {
		all = append(all, code(label.GetName()))
	}
	return strings.Join(all, ", ")
}

// bucketsOf returns the upper bounds of a histogram's buckets.
func bucketsOf(family *dto.MetricFamily) string {
	var all []string
	for _, bucket := range family.GetMetric()[0].GetHistogram().GetBucket() {
		// Powers of ten are not exact.
		all = append(all, strconv.FormatFloat(bucket.GetUpperBound(), 'g', 6, 64))
	}
	return strings.Join(all, " ")
}

func bucketsText(buckets map[string][]string) string {
	rows := newTable("buckets", "of")
	var bounds []string
	for bound := range buckets {
		bounds = append(bounds, bound)
	}
	slices.SortFunc(bounds, func(a, b string) int { return cmp.Compare(buckets[a][0], buckets[b][0]) })
	for _, bound := range bounds {
		rows.row(bound, strings.Join(buckets[bound], ", "))
	}
	return "\n## Histograms\n\n" + rows.String()
}
