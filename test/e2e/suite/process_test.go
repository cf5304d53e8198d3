package suite

import (
	"errors"
	"net/http"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/stage"
)

func oneGi() *resource.Quantity {
	quantity := resource.MustParse("1Gi")
	return &quantity
}

func logged(log, entry string) bool { return strings.Contains(log, entry) }

// healthPaths are those that are served with leader election.
func healthPaths() []string { return []string{"/livez", "/readyz", "/healthz/leader-election"} }

// TestHTTP: probes and metrics, with the names that external-provisioner's
// dashboards use.
func TestHTTP(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	class := s.class("sc", nil)
	sidecar := s.sidecar("--leader-election")
	s.claim("c", class)
	volume := s.bound("c")
	s.deleteClaim("c")
	s.volumeGone(volume.Name)
	for _, path := range healthPaths() {
		if status, body, err := sidecar.Get(path); err != nil || status != http.StatusOK || body != "ok" {
			t.Errorf("%s: %d %q, %v", path, status, body, err)
		}
	}
	_, metrics, err := sidecar.Get("/metrics")
	s.must(err)
	for _, want := range []string{
		`csi_sidecar_operations_seconds_count{driver_name="` + s.driver.Name + `",grpc_status_code="OK",method_name="/csi.v1.Controller/CreateVolume"} 1`,
		`csi_sidecar_operations_seconds_count{driver_name="` + s.driver.Name + `",grpc_status_code="OK",method_name="/csi.v1.Controller/DeleteVolume"} 1`,
		`controller_persistentvolumeclaim_provision_total{class="` + class + `",source=""} 1`,
		`controller_persistentvolumeclaim_provision_duration_seconds_count{class="` + class + `",source=""} 1`,
		`controller_persistentvolume_delete_total{class="` + class + `"} 1`,
		`leader_election_master_status{name="` + s.id + `-example"} 1`,
		`workqueue_depth{name="claims"} 0`,
		`workqueue_adds_total{name="volumes"} `,
		`process_resident_memory_bytes `,
		`rest_client_requests_total{code="201",host="127.0.0.1:`,
		`rest_client_request_duration_seconds_count{host="127.0.0.1:`,
		`go_goroutines `,
		`leader_election_slowpath_total{name="` + s.id + `-example"} 0`,
		`leader_election_slowpath_total{name="external-resizer-` + s.id + `-example"} 0`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	// No two queues share their metrics.
	queues := regexp.MustCompile(`(?m)^workqueue_depth{name="(.*)"}`).FindAllStringSubmatch(metrics, -1)
	var names []string
	for _, queue := range queues {
		names = append(names, queue[1])
	}
	if want := []string{"claims", "expansions", "modifications", "protections", "volumes"}; !slices.Equal(names, want) {
		t.Errorf("the queues are %q, want %q", names, want)
	}
}

// TestDriverRestartsUnderLoad: a driver that is killed while claims are in
// flight is waited for; the sidecar says that it is not ready, goes on when the
// driver is back, and no volume is made twice or lost.
func TestDriverRestartsUnderLoad(t *testing.T) {
	t.Parallel()
	const claims = 30
	s := newScene(t)
	class := s.class("sc", nil)
	// With this back-off the claims are bound in time only because the driver's
	// return is noticed.
	sidecar := s.sidecar("--retry-interval-start=2m", "--retry-interval-max=5m", "--worker-threads=10")
	s.rule(control.Rule{Match: control.Match{Method: "CreateVolume"}, Delay: 100 * time.Millisecond})
	for n := range claims {
		s.claim(claimName(n), class)
	}
	s.calls("CreateVolume", claims/3)
	s.must(s.driver.Process().Kill())
	s.until("the sidecar says that it is not ready", func() (bool, error) {
		status, body, err := sidecar.Get("/readyz")
		return err == nil && status == http.StatusServiceUnavailable && strings.Contains(body, "driver"), nil
	})
	if status, _, err := sidecar.Get("/livez"); err != nil || status != http.StatusOK {
		t.Errorf("without its driver the sidecar is not alive: %d, %v", status, err)
	}
	s.must(s.driver.Start(s.ctx))
	s.must(sidecar.WaitReady(s.ctx))
	known := map[string]bool{}
	for n := range claims {
		known[s.bound(claimName(n)).Spec.CSI.VolumeHandle] = true
	}
	if len(known) != claims {
		t.Errorf("%d claims have %d volumes", claims, len(known))
	}
	for _, volume := range s.volumes() {
		if !known[volume.ID] {
			t.Errorf("the driver has %s (%s), which no PersistentVolume knows", volume.ID, volume.Name)
		}
	}
}

func claimName(n int) string { return "c" + string(rune('a'+n/26)) + string(rune('a'+n%26)) }

// TestWaitsForTheDriver: a sidecar that starts before its driver waits for it,
// says so, and can be stopped meanwhile.
func TestWaitsForTheDriver(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.must(s.driver.Process().Kill())
	sidecar, err := shared.StartSidecar(s.ctx, "sidecar-"+s.id, s.driver)
	s.must(err)
	s.until("the log tells what is waited for", func() (bool, error) {
		return logged(sidecar.Log(), "Waiting for the CSI driver to be ready"), nil
	})
	if status, body, err := sidecar.Get("/readyz"); err != nil || status != http.StatusServiceUnavailable {
		t.Errorf("without a driver /readyz is %d %q, %v", status, body, err)
	}
	s.must(sidecar.Signal(syscall.SIGTERM))
	s.must(sidecar.Wait())
	sidecar = s.sidecarWithoutDriver()
	s.must(s.driver.Start(s.ctx))
	s.must(sidecar.WaitReady(s.ctx))
}

func (s *scene) sidecarWithoutDriver() *stage.Sidecar {
	s.Helper()
	sidecar, err := shared.StartSidecar(s.ctx, "again-"+s.id, s.driver)
	s.must(err)
	s.Cleanup(func() { _ = sidecar.Kill() })
	return sidecar
}

// TestStopIsBounded: a driver that never answers does not keep the sidecar from
// stopping: what is in flight gets its timeout, and what follows no call at all.
func TestStopIsBounded(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	class := s.class("sc", nil)
	sidecar := s.sidecar("--timeout=1s", "--worker-threads=1")
	s.rule(control.Rule{ID: "never", Match: control.Match{Method: "CreateVolume"}, Hang: true})
	s.claim("in-flight", class)
	s.claim("waiting", class)
	_, err := s.driver.Control.WaitForCalls(s.ctx, control.Filter{Rule: "never"}, 1)
	s.must(err)
	s.must(sidecar.Signal(syscall.SIGTERM))
	s.until("the sidecar has begun to stop", func() (bool, error) { return logged(sidecar.Log(), "Stopping"), nil })
	before, err := s.driver.Control.Calls(s.ctx, control.Filter{Method: "CreateVolume"})
	s.must(err)
	s.must(sidecar.Wait())
	after, err := s.driver.Control.Calls(s.ctx, control.Filter{Method: "CreateVolume"})
	s.must(err)
	if len(after) != len(before) {
		t.Errorf("%d calls were begun after the sidecar was told to stop", len(after)-len(before))
	}
}

// TestWrongFlags: what is wrong with the command line is said, with what may
// have been meant, and exit code 2.
func TestWrongFlags(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		flag, want string
	}{
		"unknown": {"--worker-thread=3", "did you mean --worker-threads?"},
		"value":   {"--timeout=fast", `invalid argument "fast" for "--timeout"`},
		"range":   {"--worker-threads=0", "--worker-threads=0: must be at least 1"},
		"gate":    {"--feature-gates=Topolgy=true", "did you mean Topology?"},
		"format":  {"--logging-format=xml", "xml"},
		"retired": {"--enable-leader-election", "is gone: use --leader-election"},
		"alpha":   {"--log-text-split-stream", "LoggingAlphaOptions"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			output, err := exec.Command(shared.Program("csi-provisioner"), c.flag).CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 2 {
				t.Errorf("ended with %v, want exit code 2", err)
			}
			if !strings.Contains(string(output), c.want) {
				t.Errorf("said %q, want %q in it", output, c.want)
			}
		})
	}
}

// TestAnotherDriver: a sidecar ends when the driver reconnects as another one,
// as everything that it has set up is for the first.
func TestAnotherDriver(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	sidecar := s.sidecar()
	s.must(s.driver.Process().Kill())
	s.must(s.driver.Start(s.ctx, "--controller-capabilities=*,-PUBLISH_UNPUBLISH_VOLUME"))
	var exit *exec.ExitError
	if err := sidecar.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("the sidecar ended with %v, want exit code 1", err)
	}
	if !logged(sidecar.Log(), "reconnected as another one") {
		t.Errorf("the log does not say why")
	}
}

// TestJSONLogs: the log can be JSON, one object a line.
func TestJSONLogs(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	class := s.class("sc", nil)
	s.rule(control.Rule{Match: control.Match{Method: "CreateVolume"}, Count: 1, Code: codes.Internal, Message: "once"})
	sidecar := s.sidecar("--logging-format=json")
	s.claim("c", class)
	s.bound("c")
	for line := range strings.Lines(sidecar.Log()) {
		if !strings.HasPrefix(line, "{") {
			t.Errorf("the log has the line %q", line)
		}
	}
}
