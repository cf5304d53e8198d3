package suite

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/proxy"
)

// auditReport is what csi-provisioner audit -o json prints, as far as the tests
// look at it; written out once more, as scripts do.
type auditReport struct {
	Driver  string `json:"driver"`
	Summary struct {
		Known, InCreation, Unclear, Unknown, Gone, UnknownAtLeast int
	} `json:"summary"`
	Volumes []struct {
		State             string   `json:"state"`
		VolumeHandle      string   `json:"volumeHandle"`
		PersistentVolumes []string `json:"persistentVolumes"`
		Claims            []struct{ Namespace, Name string }
	} `json:"volumes"`
	OpenIntents []struct {
		VolumeName string                                `json:"volumeName"`
		Claim      struct{ Namespace, Name, UID string } `json:"claim"`
	} `json:"openIntents"`
	Records []struct {
		ConfigMap string `json:"configMap"`
		Key       string `json:"key"`
		State     string `json:"state"`
	} `json:"records"`
	Notes []string `json:"notes"`
}

// states are those of the volumes, by handle.
func (r auditReport) states() map[string]string {
	states := map[string]string{}
	for _, volume := range r.Volumes {
		states[volume.VolumeHandle] = volume.State
	}
	return states
}

// auditing is an audit that runs: the real program, with the rights of the
// sidecar's role, through a proxy that notes what it asks of the API server.
type auditing struct {
	*scene
	proxy          *proxy.Proxy
	command        *exec.Cmd
	stdout, stderr bytes.Buffer
}

func (s *scene) startAudit(through *proxy.Proxy, flags ...string) *auditing {
	s.Helper()
	a := &auditing{scene: s, proxy: through}
	a.command = exec.CommandContext(s.ctx, shared.Program("csi-provisioner"), append([]string{
		"audit", "--csi-address=" + s.driver.Socket, "--master=" + through.URL(), "--settle=1ms",
	}, flags...)...)
	a.command.Env = append(os.Environ(), "KUBECONFIG=", "POD_NAMESPACE=default")
	a.command.Stdout, a.command.Stderr = &a.stdout, &a.stderr
	s.must(a.command.Start())
	s.Cleanup(func() { _ = a.command.Process.Kill() })
	return a
}

// end waits for the end and returns the exit code and what was printed.
func (a *auditing) end() (code int, stdout, stderr string) {
	a.Helper()
	err := a.command.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		a.Fatal(err)
	}
	stdout, stderr = a.stdout.String(), a.stderr.String()
	a.keepsSecrets("the audit", stdout+stderr)
	if writes := a.proxy.Writes(proxy.Match{}); len(writes) > 0 {
		a.Errorf("the audit has written: %+v", writes)
	}
	return a.command.ProcessState.ExitCode(), stdout, stderr
}

// report ends the audit, of which that exit code is expected.
func (a *auditing) report(code int) auditReport {
	a.Helper()
	got, stdout, stderr := a.end()
	if got != code {
		a.Errorf("the exit code is %d, want %d: %s%s", got, code, stdout, stderr)
	}
	var report auditReport
	if err := json.Unmarshal([]byte(stdout), &report); err != nil {
		a.Fatalf("the report is no JSON: %v\n%s%s", err, stdout, stderr)
	}
	return report
}

func (s *scene) proxied() *proxy.Proxy {
	s.Helper()
	through, err := shared.Proxy()
	s.must(err)
	s.Cleanup(func() { _ = through.Close() })
	return through
}

// audit runs one and returns its report, of JSON.
func (s *scene) audit(code int, flags ...string) auditReport {
	s.Helper()
	return s.startAudit(s.proxied(), append([]string{"-o", "json"}, flags...)...).report(code)
}

// direct is the driver's controller service, behind Kubernetes' back.
func (s *scene) direct() csipb.ControllerClient {
	s.Helper()
	conn, err := grpc.NewClient("unix://"+s.driver.Socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	s.must(err)
	s.Cleanup(func() { _ = conn.Close() })
	return csipb.NewControllerClient(conn)
}

// stray makes a volume that nobody knows and returns its handle.
func (s *scene) stray(name string) string {
	s.Helper()
	made, err := s.direct().CreateVolume(s.ctx, &csipb.CreateVolumeRequest{
		Name: name,
		VolumeCapabilities: []*csipb.VolumeCapability{{
			AccessType: &csipb.VolumeCapability_Mount{Mount: &csipb.VolumeCapability_MountVolume{}},
			AccessMode: &csipb.VolumeCapability_AccessMode{Mode: csipb.VolumeCapability_AccessMode_SINGLE_NODE_WRITER},
		}},
	})
	s.must(err)
	return made.GetVolume().GetVolumeId()
}

// discard deletes a volume, whoever knows it.
func (s *scene) discard(handle string) {
	s.Helper()
	_, err := s.direct().DeleteVolume(s.ctx, &csipb.DeleteVolumeRequest{VolumeId: handle})
	s.must(err)
}

// TestAudit: volumes that the cluster knows, one that nobody knows, and one that
// has gone, in several pages.
func TestAudit(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	class := s.class("sc", nil)
	s.sidecar(soon)
	want := map[string]string{}
	owners := map[string]string{}
	var last *corev1.PersistentVolume
	for _, name := range []string{"a", "b", "c", "d"} {
		s.claim(name, class)
		last = s.bound(name)
		want[last.Spec.CSI.VolumeHandle] = "known"
		owners[last.Spec.CSI.VolumeHandle] = last.Name + " " + s.id + "/" + name
	}
	lost := s.stray("lost")
	want[lost] = "unknown"
	s.discard(last.Spec.CSI.VolumeHandle)
	want[last.Spec.CSI.VolumeHandle] = "gone"
	before := s.calls("DeleteVolume", 1)

	report := s.audit(3, "--page-size=2")
	if diff := cmp.Diff(want, report.states()); diff != "" || report.Driver != s.driver.Name {
		t.Errorf("the report of driver %s has the states (-want +got):\n%s", report.Driver, diff)
	}
	if sum := report.Summary; sum.Known != 3 || sum.Unknown != 1 || sum.UnknownAtLeast != 1 || sum.Gone != 1 {
		t.Errorf("the summary is %+v", report.Summary)
	}
	for _, volume := range report.Volumes {
		owner := ""
		if len(volume.PersistentVolumes) == 1 && len(volume.Claims) == 1 {
			owner = volume.PersistentVolumes[0] + " " + volume.Claims[0].Namespace + "/" + volume.Claims[0].Name
		}
		if owner != owners[volume.VolumeHandle] {
			t.Errorf("volume %s is said to be of %q, want %q", volume.VolumeHandle, owner, owners[volume.VolumeHandle])
		}
	}
	s.readOnly(before[len(before)-1].Seq)

	_, table, _ := s.startAudit(s.proxied()).end()
	for handle, state := range want {
		if !slices.ContainsFunc(strings.Split(table, "\n"), func(line string) bool {
			return strings.HasPrefix(line, state+" ") && strings.Contains(line, handle)
		}) {
			t.Errorf("the table has no line for %s, which is %s:\n%s", handle, state, table)
		}
	}
	s.discard(lost)
	if report := s.audit(4); report.Summary.Unknown != 0 || report.Summary.Gone != 1 {
		t.Errorf("without the unknown volume the summary is %+v", report.Summary)
	}
	s.deleteClaim("d")
	s.volumeGone(last.Name)
	if report := s.audit(0); report.Summary.Known != 3 || report.Summary.Gone != 0 {
		t.Errorf("when all is in order the summary is %+v", report.Summary)
	}
}

// readOnly fails the test unless the driver was only asked since a call, twice for
// all volumes, in pages of two.
func (s *scene) readOnly(since int64) {
	s.Helper()
	calls, err := s.driver.Control.Calls(s.ctx, control.Filter{After: since})
	s.must(err)
	questions := []string{"Probe", "GetPluginInfo", "GetPluginCapabilities", "ControllerGetCapabilities", "NodeGetCapabilities", "ListVolumes"}
	listed := 0
	for _, call := range calls {
		if !slices.Contains(questions, call.Method) {
			s.Errorf("the audit has called %s", call.Method)
		}
		if call.Method != "ListVolumes" {
			continue
		}
		listed++
		var request csipb.ListVolumesRequest
		s.must(call.DecodeRequest(&request))
		if request.GetMaxEntries() != 2 {
			s.Errorf("ListVolumes was called for %d volumes", request.GetMaxEntries())
		}
	}
	if listed != 4 {
		s.Errorf("ListVolumes was called %d times, want two looks of two pages", listed)
	}
}

// TestAuditWhileAVolumeIsMade: it is never unknown. The driver's handles do not
// tell names, so it is unclear, until it is stored.
func TestAuditWhileAVolumeIsMade(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	class := s.class("sc", nil)
	s.sidecar(soon, "--timeout=2m")
	hang := s.rule(control.Rule{ID: "hang", Match: control.Match{Method: "CreateVolume"}, When: control.After, Hang: true})
	claim := s.claim("c", class)
	s.until("the volume is there", func() (bool, error) { return len(s.volumes()) == 1, nil })
	handle := s.volumes()[0].ID

	report := s.audit(0)
	if got := report.states()[handle]; got != "unclear" || report.Summary.UnknownAtLeast != 0 {
		t.Errorf("the volume in creation is %q: %+v", got, report)
	}
	if len(report.OpenIntents) != 1 || report.OpenIntents[0].Claim.UID != string(claim.UID) || report.OpenIntents[0].VolumeName != "pvc-"+string(claim.UID) ||
		report.OpenIntents[0].Claim.Namespace != s.id || report.OpenIntents[0].Claim.Name != "c" {
		t.Errorf("the open intents are %+v", report.OpenIntents)
	}
	hang()
	s.bound("c")
	if got := s.audit(0).states()[handle]; got != "known" {
		t.Errorf("the volume that is stored is %q", got)
	}
}

// TestAuditCountsIntents: an open intent accounts for one volume, and a handle
// that shows the claim for that one.
func TestAuditCountsIntents(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	class := s.class("sc", nil)
	s.sidecar(soon, "--timeout=2m")
	lost := s.stray("lost")
	s.rule(control.Rule{Match: control.Match{Method: "CreateVolume"}, When: control.After, Hang: true})
	claim := s.claim("c", class)
	s.until("the volume is there", func() (bool, error) { return len(s.volumes()) == 2, nil })

	report := s.audit(3)
	if sum := report.Summary; sum.Unclear != 2 || sum.Unknown != 0 || sum.UnknownAtLeast != 1 {
		t.Errorf("with two volumes and an intent the summary is %+v", sum)
	}
	telling := "array/pvc-" + string(claim.UID)
	list, err := json.Marshal(map[string]any{"entries": []any{
		map[string]any{"volume": map[string]any{"volumeId": telling}},
		map[string]any{"volume": map[string]any{"volumeId": lost}},
	}})
	s.must(err)
	s.rule(control.Rule{Match: control.Match{Method: "ListVolumes"}, Response: list})
	if diff := cmp.Diff(map[string]string{telling: "inCreation", lost: "unknown"}, s.audit(3).states()); diff != "" {
		t.Errorf("with handles that tell names the states are (-want +got):\n%s", diff)
	}
}

// TestAuditLooksAgain: what is stored between two looks is known.
func TestAuditLooksAgain(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	class := s.class("sc", nil)
	s.sidecar(soon, "--timeout=2m")
	finish := s.rule(control.Rule{Match: control.Match{Method: "CreateVolume"}, When: control.After, Hang: true})
	look := s.rule(control.Rule{ID: "look", Match: control.Match{Method: "ListVolumes"}, Skip: 1, Count: 1, Hang: true})
	s.claim("c", class)
	s.until("the volume is there", func() (bool, error) { return len(s.volumes()) == 1, nil })

	running := s.startAudit(s.proxied(), "-o", "json", "--timeout=2m")
	_, err := s.driver.Control.WaitForCalls(s.ctx, control.Filter{Rule: "look", State: control.Running}, 1)
	s.must(err)
	finish()
	volume := s.bound("c")
	look()
	report := running.report(0)
	if got := report.states()[volume.Spec.CSI.VolumeHandle]; got != "known" {
		t.Errorf("the volume is %q: %+v", got, report)
	}
}

// TestAuditWithTroubles: a token that has ended has the list begin again, and
// without the right to the journal the report says so.
func TestAuditWithTroubles(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	want := map[string]string{}
	for _, name := range []string{"a", "b", "c"} {
		want[s.stray(name)] = "unknown"
	}
	s.rule(control.Rule{Match: control.Match{Method: "ListVolumes"}, Skip: 2, Count: 1, Code: codes.Aborted, Message: "the list has changed"})
	through := s.proxied()
	through.Add(proxy.Rule{Match: proxy.Match{Path: "/configmaps"}, Status: &metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
		Status:   metav1.StatusFailure, Code: http.StatusForbidden, Reason: metav1.StatusReasonForbidden, Message: "no right to list configmaps",
	}})
	report := s.startAudit(through, "-o=json", "--page-size=1").report(3)
	if diff := cmp.Diff(want, report.states()); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	if calls := s.calls("ListVolumes", 9); len(calls) != 9 {
		t.Errorf("ListVolumes was called %d times, want 2 and one in vain, 3 again, and 3 for the second look", len(calls))
	}
	if len(report.Notes) != 1 || !strings.Contains(report.Notes[0], "no right to list configmaps") {
		t.Errorf("the notes are %q", report.Notes)
	}
}

// TestAuditCant: each reason has its exit code and its words.
func TestAuditCant(t *testing.T) {
	t.Parallel()
	s := newScene(t, "--controller-capabilities=*,-LIST_VOLUMES")
	for name, c := range map[string]struct {
		flags []string
		code  int
		says  string
	}{
		"list volumes":     {nil, 5, "LIST_VOLUMES"},
		"reach the driver": {[]string{"--csi-address=" + filepath.Join(t.TempDir(), "none.sock"), "--timeout=100ms"}, 1, "--csi-address"},
		"understand":       {[]string{"--output=yaml"}, 2, "--output=yaml: must be table or json"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := s.in(t).startAudit(s.proxied(), c.flags...).end()
			if code != c.code || stdout != "" || !strings.Contains(stderr, c.says) {
				t.Errorf("the exit code is %d, want %d; it said %q, want %q", code, c.code, stdout+stderr, c.says)
			}
		})
	}
}
