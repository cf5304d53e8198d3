package suite

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/proxy"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/stage"
)

// roleless is the kubeconfig of a service account that has the sidecar's rights in the
// cluster, and none in its namespace.
func (s *scene) roleless() string {
	s.Helper()
	return s.account("roleless", "csi-provisioner")
}

// TestRightsThatGoAway: a sidecar that has to record volumes waits for the right to it, says
// so wherever people look, and goes on by itself when the right is back.
func TestRightsThatGoAway(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	kubeconfig := s.roleless()
	grant := fmt.Sprintf(`
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: %[1]s, namespace: default}
subjects:
- {kind: ServiceAccount, name: roleless, namespace: %[1]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: csi-provisioner}
`, s.id)
	revoke := func() error {
		return shared.Client.RbacV1().RoleBindings("default").Delete(context.WithoutCancel(s.ctx), s.id, metav1.DeleteOptions{})
	}
	s.Cleanup(func() { _ = revoke() })
	s.apply(grant)
	class := s.class("sc", nil)
	sidecar := s.namedSidecar("sidecar-"+s.id, "--kubeconfig="+kubeconfig, "--provisioning-journal=required")
	expect := func(when, ready, metric string, status int) {
		t.Helper()
		s.until(when+" /readyz and the metrics say so", func() (bool, error) {
			code, body, err := sidecar.Get("/readyz")
			if err != nil || code != status || !strings.Contains(body, ready) {
				return false, fmt.Errorf("/readyz: %d %s (%w)", code, body, err)
			}
			_, metrics, err := sidecar.Get("/metrics")
			return strings.Contains(metrics, "csi_provisioner_journal_enabled "+metric), err
		})
	}
	s.boundToOne(s.claim("before", class))
	s.journalEmpty()
	expect("with its rights", "ok", "1", http.StatusOK)

	s.must(revoke())
	s.until("the rights are gone", func() (bool, error) {
		review, err := shared.Client.AuthorizationV1().SubjectAccessReviews().Create(s.ctx, &authorizationv1.SubjectAccessReview{
			Spec: authorizationv1.SubjectAccessReviewSpec{
				User:               "system:serviceaccount:" + s.id + ":roleless",
				ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: "default", Verb: "create", Resource: "configmaps"},
			},
		}, metav1.CreateOptions{})
		return err == nil && !review.Status.Allowed, err
	})
	waiting := s.claim("waiting", class)
	t.Log(s.event(s.id, waiting.Name, "ProvisioningFailed", "[list, create, patch, delete]"))
	expect("without its rights", "add this rule to its Role", "0", http.StatusServiceUnavailable)
	if n := len(s.volumesOf(waiting)); n != 0 {
		t.Errorf("%d volumes were made without a record", n)
	}
	if n := strings.Count(sidecar.Log(), "The journal of volumes in creation has a problem"); n != 1 {
		t.Errorf("the log says %d times that the journal has a problem, want once", n)
	}

	s.apply(grant)
	s.boundToOne(waiting)
	expect("when they are back", "ok", "1", http.StatusOK)
}

// TestJournalMetricWhereNothingIsCreated: a standby tells whether it will record volumes, and
// a sidecar that creates none says nothing of a journal.
func TestJournalMetricWhereNothingIsCreated(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.namedSidecar("leader-"+s.id, "--leader-election")
	for name, c := range map[string]struct {
		flags []string
		want  bool
	}{
		"standby":  {[]string{"--leader-election"}, true},
		"expander": {[]string{"--controllers=resizer"}, false},
	} {
		_, metrics, err := s.namedSidecar(name+"-"+s.id, c.flags...).Get("/metrics")
		s.must(err)
		if strings.Contains(metrics, "\ncsi_provisioner_journal_enabled 0") {
			t.Errorf("the %s says that volumes are not recorded", name)
		}
		if got := strings.Contains(metrics, "\ncsi_provisioner_journal_enabled 1"); got != c.want {
			t.Errorf("the %s says that volumes are recorded: %t, want %t", name, got, c.want)
		}
	}
}

// TestStopBeforeTheJournalIsRead: a sidecar that is told to stop does not wait for an API
// server that does not answer.
func TestStopBeforeTheJournalIsRead(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	through := s.proxied()
	held := through.Add(proxy.Rule{Match: proxy.Match{Method: http.MethodGet, Path: "/secrets/csi-provisioner-journal-key"}, Hold: true})
	defer held.Remove()
	sidecar := s.namedSidecar("sidecar-"+s.id, stage.Through(through))
	s.must(held.Wait(s.ctx, 1))
	if err := sidecar.Terminate(5 * time.Second); err != nil {
		t.Errorf("it has ended with: %v", err)
	}
}
