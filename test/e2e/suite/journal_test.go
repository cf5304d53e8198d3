package suite

import (
	"errors"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/protobuf/proto"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/inventory"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/proxy"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/records"
)

// journalWrites matches what is written into the journal.
func journalWrites(method string) proxy.Match {
	return proxy.Match{Method: method, Path: "/namespaces/default/configmaps"}
}

// batches returns the journal of the scene's driver.
func (s *scene) batches() []corev1.ConfigMap {
	s.Helper()
	batches, err := inventory.Journal(s.ctx, shared.Client, s.driver.Name, 0)
	s.must(err)
	return batches
}

// journalEmpty waits until nothing is left in the journal.
func (s *scene) journalEmpty() {
	s.Helper()
	s.until("the journal is empty", func() (bool, error) { return len(s.batches()) == 0, nil })
}

// killedIn starts a claim, and kills the sidecar when CreateVolume has made its
// volume, and has not answered.
func (s *scene) killedIn(class string) *corev1.PersistentVolumeClaim {
	s.Helper()
	sidecar := s.sidecar()
	release := s.rule(control.Rule{ID: "made", Match: control.Match{Method: "CreateVolume"}, When: control.After, Hang: true, Count: 1})
	claim := s.claim("c", class)
	s.reached("made")
	s.until("the volume is made", func() (bool, error) { return len(s.volumesOf(claim)) == 1, nil })
	s.must(sidecar.Kill())
	release()
	return claim
}

// requests returns all CreateVolume requests for a claim, without their secrets.
func (s *scene) requests(claim *corev1.PersistentVolumeClaim) []*csipb.CreateVolumeRequest {
	s.Helper()
	var requests []*csipb.CreateVolumeRequest
	for _, call := range s.callsFor(claim, "CreateVolume") {
		var request csipb.CreateVolumeRequest
		s.must(call.DecodeRequest(&request))
		request.Secrets = nil
		requests = append(requests, &request)
	}
	return requests
}

// allTheSame fails unless there are that many requests, all the same.
func (s *scene) allTheSame(requests []*csipb.CreateVolumeRequest, atLeast int) {
	s.Helper()
	if len(requests) < atLeast {
		s.Errorf("there are %d requests, want %d", len(requests), atLeast)
	}
	for _, request := range requests {
		if !proto.Equal(request, requests[0]) {
			s.Errorf("the request %v is not repeated exactly: %v", requests[0], request)
		}
	}
}

// TestCrashAndClaimDeleted: a volume whose sidecar was killed, and whose claim,
// class and Secret are deleted before the next one starts, is deleted.
func TestCrashAndClaimDeleted(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.secret(s.id, "creds", map[string]string{"password": password})
	class := s.class("sc", s.provisionerSecret("creds"))
	claim := s.killedIn(class)
	if n := len(s.batches()); n != 1 {
		t.Errorf("there are %d batches of the journal", n)
	}
	s.deleteClaim("c")
	s.claimGone("c")
	s.must(shared.Client.StorageV1().StorageClasses().Delete(s.ctx, class, metav1.DeleteOptions{}))
	s.must(shared.Client.CoreV1().Secrets(s.id).Delete(s.ctx, "creds", metav1.DeleteOptions{}))

	s.namedSidecar("next-" + s.id)
	s.nothingLeft(claim)
	s.journalEmpty()
	s.allTheSame(s.requests(claim), 2)
	if _, err := shared.Client.CoreV1().PersistentVolumes().Get(s.ctx, "pvc-"+string(claim.UID), metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the PersistentVolume: %v", err)
	}
}

// TestCrashAndClassChanged: the next sidecar repeats the request as it was, and
// stores the volume as it was planned.
func TestCrashAndClassChanged(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	claim := s.killedIn(s.class("sc", map[string]string{"tier": "gold"}, "reclaimPolicy: Delete"))
	s.replaceClass("sc", map[string]string{"tier": "silver"}, "reclaimPolicy: Retain")
	s.namedSidecar("next-" + s.id)
	volume := s.boundToOne(claim)
	if policy := volume.Spec.PersistentVolumeReclaimPolicy; policy != corev1.PersistentVolumeReclaimDelete {
		t.Errorf("the volume's policy is %s", policy)
	}
	s.allTheSame(s.requests(claim), 2)
	s.journalEmpty()
}

// TestCrashWithRetain: a volume that is to be retained is not deleted when its
// claim has gone: nobody knows whether it was in use before.
func TestCrashWithRetain(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	claim := s.killedIn(s.class("sc", nil, "reclaimPolicy: Retain"))
	s.deleteClaim("c")
	s.claimGone("c")
	s.namedSidecar("next-" + s.id)
	s.until("the volume is released", func() (bool, error) {
		volume, err := shared.Client.CoreV1().PersistentVolumes().Get(s.ctx, "pvc-"+string(claim.UID), metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		return err == nil && volume.Status.Phase == corev1.VolumeReleased, err
	})
	s.journalEmpty()
	if n := len(s.volumesOf(claim)); n != 1 {
		t.Errorf("the driver has %d volumes", n)
	}
}

// TestNoRecordNoCall: the driver is not called before the journal is written, and
// whoever looks at the claim or the sidecar's pod is told why.
func TestNoRecordNoCall(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.secret(s.id, "creds", map[string]string{"password": password})
	p := s.proxy()
	s.through(p, soon)
	fails := p.Add(proxy.Rule{Match: journalWrites(http.MethodPost), Status: proxy.InternalError()})
	claim := s.claim("c", s.class("sc", s.provisionerSecret("creds")))
	t.Log(s.warnings(2, claim.Name, "recording what is to be created in the journal"))
	t.Log(s.event("default", "sidecar-"+s.id, "JournalUnavailable", "an error on the server has been injected"))
	s.untouched(claim)
	fails.Remove()

	held := p.Add(proxy.Rule{Match: journalWrites(http.MethodPost), When: proxy.After, Hold: true})
	s.must(held.Wait(s.ctx, 1))
	s.untouched(claim)
	for _, batch := range s.batches() {
		for key, value := range batch.BinaryData {
			s.keepsSecrets("key "+key+" of the journal", s.unzip(value))
		}
	}
	held.Remove()
	s.boundToOne(claim)
	s.journalEmpty()
}

func (s *scene) unzip(value []byte) string {
	s.Helper()
	text, err := records.Text(value)
	s.must(err)
	if len(text) == 0 {
		s.Error("there is nothing in it")
	}
	return string(text)
}

// TestLoneClaimsJournal: a claim costs two small writes, and one of them after its
// volume has been stored.
func TestLoneClaimsJournal(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	p := s.proxy()
	s.through(p)
	s.boundToOne(s.claim("c", s.class("sc", nil)))
	s.journalEmpty()
	var writes []string
	for _, write := range p.Writes(proxy.Match{Path: "(configmaps|persistentvolumes)"}) {
		writes = append(writes, write.Method+" "+strings.Split(write.Path, "/")[len(strings.Split(write.Path, "/"))-1])
	}
	if len(writes) != 3 || writes[0] != "POST configmaps" || writes[1] != "POST persistentvolumes" || !strings.HasPrefix(writes[2], "DELETE csi-provisioner-journal-") {
		t.Errorf("the writes are %q", writes)
	}
}

// TestDeletionWaitsForTheJournal: a crash must not bring a deleted volume back.
func TestDeletionWaitsForTheJournal(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	p := s.proxy()
	s.through(p)
	held := p.Add(proxy.Rule{Match: journalWrites(http.MethodDelete), Hold: true})
	claim := s.claim("c", s.class("sc", nil))
	volume := s.boundToOne(claim)
	s.deleteClaim("c")
	s.must(held.Wait(s.ctx, 1))
	s.until("the volume is released", func() (bool, error) {
		now, err := shared.Client.CoreV1().PersistentVolumes().Get(s.ctx, volume.Name, metav1.GetOptions{})
		return err == nil && now.Status.Phase == corev1.VolumeReleased, err
	})
	// Another claim's volume comes and goes meanwhile: so there was time.
	s.boundToOne(s.claim("other", s.class("other", nil)))
	if n := len(s.volumesOf(claim)); n != 1 {
		t.Errorf("the driver has %d volumes, while the journal holds an intent for it", n)
	}
	held.Remove()
	s.volumeGone(volume.Name)
	s.nothingLeft(claim)
	s.journalEmpty()
}

// TestJournalWithoutItsRole: auto goes on and says so; required ends with the
// missing role; off says nothing.
func TestJournalWithoutItsRole(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	kubeconfig := s.roleless()
	class := s.class("sc", nil)
	t.Run("required", func(t *testing.T) {
		output, err := exec.Command(shared.Program("csi-provisioner"), "--kubeconfig="+kubeconfig, "--csi-address="+s.driver.Socket, "--provisioning-journal=required").CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 1 {
			t.Errorf("ended with %v, want exit code 1", err)
		}
		for _, want := range []string{"those of namespace \"default\"", "resources: [configmaps]", "verbs: [list, create, patch, delete]"} {
			if !strings.Contains(string(output), want) {
				t.Errorf("said %q, want %q in it", output, want)
			}
		}
	})
	t.Run("auto", func(t *testing.T) {
		s := s.in(t)
		sidecar := s.namedSidecar("auto-"+s.id, "--kubeconfig="+kubeconfig)
		s.boundToOne(s.claim("auto", class))
		t.Log(s.event("default", "auto-"+s.id, "JournalUnavailable", "[list, create, patch, delete]"))
		if !logged(sidecar.Log(), "The journal of volumes in creation has a problem") {
			t.Error("the log does not say so")
		}
		_, metrics, err := sidecar.Get("/metrics")
		s.must(err)
		if !strings.Contains(metrics, "csi_provisioner_journal_enabled 0") {
			t.Error("the metrics do not say so")
		}
		s.must(sidecar.Kill())
	})
	t.Run("off", func(t *testing.T) {
		s := s.in(t)
		sidecar := s.namedSidecar("off-"+s.id, "--kubeconfig="+kubeconfig, "--provisioning-journal=off")
		s.boundToOne(s.claim("off", class))
		if logged(sidecar.Log(), "The journal of volumes in creation has a problem") {
			t.Error("the log has a problem with the journal")
		}
	})
}
