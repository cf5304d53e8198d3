package metrics_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/csi-provisioner/csi-provisioner/pkg/metrics"
)

// counted returns the lines of csi_sidecar_operations_seconds that count.
func counted(t *testing.T, set *metrics.Set) []string {
	t.Helper()
	var lines []string
	for _, line := range strings.Split(scrape(t, set.Handler()), "\n") {
		if strings.HasPrefix(line, "csi_sidecar_operations_seconds_count") {
			lines = append(lines, line)
		}
	}
	return lines
}

// TestCallsOfMigrationTarget: only a driver that has taken the place of an in-tree
// plugin has the label migrated, and only calls for volumes of the plugin say so.
func TestCallsOfMigrationTarget(t *testing.T) {
	set := metrics.New()
	set.Calls.Record("/csi.v1.Identity/Probe", false, nil, time.Second)
	handler := set.Handler() // before the driver is known, as the program does
	if err := set.Calls.SetMigratedDriver("ebs.csi.aws.com"); err != nil {
		t.Fatal(err)
	}
	set.Calls.Record("/csi.v1.Controller/CreateVolume", true, nil, time.Second)
	set.Calls.Record("/csi.v1.Controller/CreateVolume", false, nil, time.Second)
	set.Calls.Record("/csi.v1.Controller/CreateVolume", false, nil, time.Second)
	text := scrape(t, handler)
	for _, want := range []string{
		`csi_sidecar_operations_seconds_count{driver_name="ebs.csi.aws.com",grpc_status_code="OK",method_name="/csi.v1.Controller/CreateVolume",migrated="true"} 1`,
		`csi_sidecar_operations_seconds_count{driver_name="ebs.csi.aws.com",grpc_status_code="OK",method_name="/csi.v1.Controller/CreateVolume",migrated="false"} 2`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %s among %q", want, counted(t, set))
		}
	}
	if lines := counted(t, set); len(lines) != 2 {
		t.Errorf("counted are %q, want no more than 2", lines)
	}
}

func TestCallsOfOtherDriversHaveNoMigratedLabel(t *testing.T) {
	set := metrics.New()
	set.Calls.SetDriver("driver.example")
	set.Calls.Record("/csi.v1.Controller/DeleteVolume", false, errors.New("no"), time.Second)
	want := `csi_sidecar_operations_seconds_count{driver_name="driver.example",grpc_status_code="unknown-non-grpc",method_name="/csi.v1.Controller/DeleteVolume"} 1`
	if lines := counted(t, set); len(lines) != 1 || lines[0] != want {
		t.Errorf("counted are %q, want %q", lines, want)
	}
}
