package metrics_test

import (
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"k8s.io/client-go/util/workqueue"

	"github.com/csi-provisioner/csi-provisioner/pkg/metrics"
)

// peers are the names of external-provisioner's metrics, with type and labels,
// for what this program does.
func peers() map[string]string {
	return map[string]string{
		"controller_persistentvolumeclaim_provision_total":            `counter {class="fast",source="VolumeSnapshot"}`,
		"controller_persistentvolumeclaim_provision_failed_total":     `counter {class="fast",source=""}`,
		"controller_persistentvolumeclaim_provision_duration_seconds": `histogram {class="fast",source="VolumeSnapshot",le="0.005"}`,
		"controller_persistentvolume_delete_total":                    `counter {class="fast"}`,
		"controller_persistentvolume_delete_failed_total":             `counter {class="fast"}`,
		"controller_persistentvolume_delete_duration_seconds":         `histogram {class="fast",le="0.005"}`,
		"csi_sidecar_operations_seconds":                              `histogram {driver_name="driver.example",grpc_status_code="Internal",method_name="/csi.v1.Controller/CreateVolume",le="0.1"}`,
		"workqueue_depth":                                             `gauge {name="claims"}`,
		"workqueue_adds_total":                                        `counter {name="claims"}`,
		"workqueue_queue_duration_seconds":                            `histogram {name="claims",le="1e-08"}`,
		"workqueue_work_duration_seconds":                             `histogram {name="claims",le="1e-08"}`,
		"workqueue_unfinished_work_seconds":                           `gauge {name="claims"}`,
		"workqueue_longest_running_processor_seconds":                 `gauge {name="claims"}`,
		"workqueue_retries_total":                                     `counter {name="claims"}`,
		"leader_election_master_status":                               `gauge {name="driver-example"}`,
		"leader_election_slowpath_total":                              `counter {name="driver-example"}`,
		"csistoragecapacities_desired_goal":                           `gauge `,
		"csistoragecapacities_desired_current":                        `gauge `,
		"csistoragecapacities_obsolete":                               `gauge `,
		"promhttp_metric_handler_requests_total":                      `counter {code="200"}`,
		"promhttp_metric_handler_requests_in_flight":                  `gauge `,
		"process_start_time_seconds":                                  `gauge `,
		"go_goroutines":                                               `gauge `,
		"go_sched_goroutines_goroutines":                              `gauge `,
		// of external-resizer alone
		"rest_client_requests_total":           `counter {code="201",host="api.example",method="POST"}`,
		"rest_client_request_duration_seconds": `histogram {host="api.example",verb="POST",le="0.005"}`,
	}
}

// own are the names of metrics of what the peer does not do.
func own() map[string]string {
	return map[string]string{
		"csi_provisioner_journal_enabled":               `gauge `,
		"csi_provisioner_journal_commits_total":         `counter {result="ok"}`,
		"csi_provisioner_journal_commit_intents":        `histogram {le="1"}`,
		"csi_provisioner_journal_intents":               `gauge {state="creating"}`,
		"csi_provisioner_journal_oldest_intent_seconds": `gauge `,
	}
}

// used is a set in which everything has been counted once.
func used() *metrics.Set {
	set := metrics.New()
	set.Volumes.Provisioned("fast", "VolumeSnapshot", time.Second)
	set.Volumes.ProvisionFailed("fast", "")
	set.Volumes.Deleted("fast", time.Second)
	set.Volumes.DeleteFailed("fast")
	set.Calls.SetDriver("driver.example")
	set.Calls.Record("/csi.v1.Controller/CreateVolume", false, status.Error(codes.Internal, "no"), time.Second)
	set.Journal.SetEnabled(true)
	set.Journal.Committed(3, nil)
	set.Journal.Committed(1, errors.New("t0p-Secret"))
	set.Journal.Watch([]string{"creating"}, func(string) int { return 7 }, func() time.Duration { return 3 * time.Second })
	set.Leading.WithLabelValues("driver-example").Set(1)
	set.Renewals.WithLabelValues("driver-example").Inc()
	requests := set.Requests.Measure(ticking())(answering(http.StatusCreated))
	_, _ = requests.RoundTrip(httptest.NewRequest(http.MethodPost, "http://api.example/api/v1/persistentvolumes", nil)) //nolint:bodyclose // There is none.
	set.WatchCapacities(func() metrics.Capacities { return metrics.Capacities{Goal: 3, Current: 2, Obsolete: 1} })
	queue := workqueue.NewTypedRateLimitingQueueWithConfig(workqueue.DefaultTypedControllerRateLimiter[string](),
		workqueue.TypedRateLimitingQueueConfig[string]{Name: "claims", MetricsProvider: set.Queues})
	queue.Add("key")
	queue.Get()
	queue.Done("key")
	queue.ShutDown()
	return set
}

func scrape(t *testing.T, handler http.Handler) string {
	t.Helper()
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if recorder.Code != http.StatusOK {
		t.Fatalf("the status is %d: %s", recorder.Code, recorder.Body)
	}
	return recorder.Body.String()
}

func TestNamesAreThoseOfThePeer(t *testing.T) {
	handler := used().Handler()
	scrape(t, handler) // which counts itself
	text := scrape(t, handler)
	all := peers()
	maps.Copy(all, own())
	for name, want := range all {
		kind, labels, _ := strings.Cut(want, " ")
		if !strings.Contains(text, "# TYPE "+name+" "+kind+"\n") {
			t.Errorf("there is no %s %s", kind, name)
		}
		sample := name
		if kind == "histogram" {
			sample += "_bucket"
		}
		if !strings.Contains(text, "\n"+sample+labels+" ") {
			t.Errorf("there is no sample %s%s", sample, labels)
		}
	}
	if n := strings.Count(text, "# TYPE process_start_time_seconds "); n != 1 {
		t.Errorf("the time of the start is there %d times", n)
	}
}

// TestBuckets: what a dashboard computes from a histogram depends on them.
func TestBuckets(t *testing.T) {
	text := scrape(t, used().Handler())
	for name, want := range map[string][]string{
		"csi_sidecar_operations_seconds":                              {"0.1", "0.25", "0.5", "1", "2.5", "5", "10", "15", "25", "50", "120", "300", "600", "+Inf"},
		"controller_persistentvolumeclaim_provision_duration_seconds": {"0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"},
		"controller_persistentvolume_delete_duration_seconds":         {"0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"},
		"workqueue_queue_duration_seconds":                            {"1e-08", "1e-07", "1e-06", "9.999999999999999e-06", "9.999999999999999e-05", "0.001", "0.01", "0.1", "1", "10", "+Inf"},
		"workqueue_work_duration_seconds":                             {"1e-08", "1e-07", "1e-06", "9.999999999999999e-06", "9.999999999999999e-05", "0.001", "0.01", "0.1", "1", "10", "+Inf"},
	} {
		var got []string
		for _, match := range regexp.MustCompile(`(?m)^`+name+`_bucket\{.*le="([^"]+)"`).FindAllStringSubmatch(text, -1) {
			got = append(got, match[1])
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s has the buckets %q, want %q", name, got, want)
		}
	}
}

// Dashboards count on what there is, and nobody counts on what has no name.
func TestThereAreNoOtherNames(t *testing.T) {
	text := scrape(t, used().Handler())
	for _, match := range regexp.MustCompile(`(?m)^# TYPE (\S+)`).FindAllStringSubmatch(text, -1) {
		name := match[1]
		_, ours := own()[name]
		if _, known := peers()[name]; !known && !ours && !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") {
			t.Errorf("there is a metric %s that the peer has not", name)
		}
	}
}

func TestValues(t *testing.T) {
	text := scrape(t, used().Handler())
	for _, want := range []string{
		`controller_persistentvolumeclaim_provision_total{class="fast",source="VolumeSnapshot"} 1`,
		`controller_persistentvolumeclaim_provision_duration_seconds_sum{class="fast",source="VolumeSnapshot"} 1`,
		`controller_persistentvolumeclaim_provision_failed_total{class="fast",source=""} 1`,
		`controller_persistentvolume_delete_total{class="fast"} 1`,
		`csi_provisioner_journal_enabled 1`,
		`csi_provisioner_journal_commits_total{result="failed"} 1`,
		`csi_provisioner_journal_commit_intents_sum 3`,
		`csi_provisioner_journal_intents{state="creating"} 7`,
		`csi_provisioner_journal_oldest_intent_seconds 3`,
		`controller_persistentvolume_delete_duration_seconds_sum{class="fast"} 1`,
		`controller_persistentvolume_delete_failed_total{class="fast"} 1`,
		`csi_sidecar_operations_seconds_count{driver_name="driver.example",grpc_status_code="Internal",method_name="/csi.v1.Controller/CreateVolume"} 1`,
		`workqueue_adds_total{name="claims"} 1`,
		`workqueue_depth{name="claims"} 0`,
		`workqueue_work_duration_seconds_count{name="claims"} 1`,
		`leader_election_master_status{name="driver-example"} 1`,
		`leader_election_slowpath_total{name="driver-example"} 1`,
		`csistoragecapacities_desired_goal 3`,
		`csistoragecapacities_desired_current 2`,
		`csistoragecapacities_obsolete 1`,
	} {
		if !slices.Contains(strings.Split(text, "\n"), want) {
			t.Errorf("there is no line %s", want)
		}
	}
}

// Error texts have no end of values, and may hold what must not be shown.
func TestErrorsAreNoLabels(t *testing.T) {
	set := metrics.New()
	set.Calls.Record("/csi.v1.Controller/CreateVolume", false, errors.New("t0p-Secret"), time.Second)
	if text := scrape(t, set.Handler()); strings.Contains(text, "t0p-Secret") {
		t.Error("the metrics show an error's text")
	}
}

func TestSetsAreIndependent(t *testing.T) {
	one, other := used(), metrics.New()
	// Of one set, too, there may be two handlers.
	scrape(t, one.Handler())
	scrape(t, one.Handler())
	if text := scrape(t, other.Handler()); strings.Contains(text, "csistoragecapacities") || strings.Contains(text, `class="fast"`) || strings.Contains(text, `name="claims"`) {
		t.Errorf("what one set has counted, the other shows")
	}
}

// A standby that does not know yet, and who only expands volumes, must not seem to have
// lost the journal.
func TestJournalIsNotMeasuredBeforeItIsKnown(t *testing.T) {
	set := metrics.New()
	if strings.Contains(scrape(t, set.Handler()), "csi_provisioner_journal_enabled") {
		t.Error("the metric is there before anything is known")
	}
	set.Journal.SetEnabled(false)
	set.Journal.SetEnabled(false)
	if !strings.Contains(scrape(t, set.Handler()), "csi_provisioner_journal_enabled 0") {
		t.Error("the metric does not say 0")
	}
}
