package suite

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/load"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/stage"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/wait"
)

// patience bounds every wait: on a busy machine things take long, and a test
// that waits for its end in vain has failed anyway.
const patience = time.Minute

// password is the value that may be seen nowhere.
const password = "t0p-Secret"

// scene is what one test works with: a driver, its class, and a namespace, all
// called by an id made from the test's name.
type scene struct {
	*testing.T
	ctx    context.Context
	id     string
	driver *stage.Driver
}

// newScene starts a driver; see the program cmd/driver for its flags. Volumes
// are directories unless a flag says otherwise.
func newScene(t *testing.T, driverFlags ...string) *scene {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	t.Cleanup(cancel)
	id := identifier(t.Name())
	s := &scene{T: t, ctx: ctx, id: id}
	var err error
	s.driver, err = shared.StartDriver(ctx, id, id+".example", append([]string{"--backend=directory"}, driverFlags...)...)
	s.must(err)
	t.Cleanup(func() { _ = s.driver.Process().Kill() })
	s.apply(fmt.Sprintf("apiVersion: v1\nkind: Namespace\nmetadata: {name: %s}", id))
	return s
}

// identifier makes a short name that Kubernetes and sockets' paths take.
func identifier(test string) string {
	words := regexp.MustCompile("[^a-z0-9]+").ReplaceAllString(strings.ToLower(strings.TrimPrefix(test, "Test")), "-")
	return strings.Trim(words[:min(len(words), 30)], "-")
}

func (s *scene) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *scene) apply(manifests string) {
	s.Helper()
	s.must(shared.Apply(s.ctx, manifests))
}

// account makes a service account that has the rights of a ClusterRole, and returns the path
// of its kubeconfig.
func (s *scene) account(name, role string) string {
	s.Helper()
	binding := s.id + "-" + name
	s.apply(fmt.Sprintf(`
apiVersion: v1
kind: ServiceAccount
metadata: {name: %[1]s, namespace: %[2]s}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: %[3]s}
subjects:
- {kind: ServiceAccount, name: %[1]s, namespace: %[2]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: %[4]s}
`, name, s.id, binding, role))
	s.Cleanup(func() {
		_ = shared.Client.RbacV1().ClusterRoleBindings().Delete(context.WithoutCancel(s.ctx), binding, metav1.DeleteOptions{})
	})
	kubeconfig, err := shared.Cluster.KubeconfigFor(s.ctx, s.id, name)
	s.must(err)
	return kubeconfig
}

// sidecar starts the sidecar under test, and in the end stops it and checks that
// it stopped well and kept its secrets.
func (s *scene) sidecar(flags ...string) *stage.Sidecar {
	s.Helper()
	return s.namedSidecar("sidecar-"+s.id, flags...)
}

func (s *scene) namedSidecar(name string, flags ...string) *stage.Sidecar {
	s.Helper()
	sidecar, err := shared.StartSidecar(s.ctx, name, s.driver, append([]string{"--retry-interval-max=2s"}, flags...)...)
	s.must(err)
	s.Cleanup(func() {
		_ = sidecar.Kill()
		s.keepsSecrets(name, sidecar.Log())
		if s.Failed() {
			s.Logf("the sidecar's log ends with\n%s", tail(sidecar.Log(), 40))
		}
	})
	s.must(sidecar.WaitReady(s.ctx))
	return sidecar
}

// keepsSecrets fails the test when the text holds a Secret's value.
func (s *scene) keepsSecrets(where, text string) {
	s.Helper()
	if strings.Contains(text, password) {
		s.Errorf("%s holds the value of a Secret", where)
	}
}

func tail(text string, lines int) string {
	all := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// class makes a class for the scene's driver, with parameters as YAML lines and
// other fields.
func (s *scene) class(name string, parameters map[string]string, fields ...string) string {
	s.Helper()
	manifest := fmt.Sprintf("apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: %s-%s}\nprovisioner: %s\n", s.id, name, s.driver.Name)
	if len(parameters) > 0 {
		manifest += "parameters:\n"
		for key, value := range parameters {
			manifest += fmt.Sprintf("  %q: %q\n", key, value)
		}
	}
	s.apply(manifest + strings.Join(fields, "\n"))
	s.Cleanup(func() {
		_ = shared.Client.StorageV1().StorageClasses().Delete(context.WithoutCancel(s.ctx), s.id+"-"+name, metav1.DeleteOptions{})
	})
	return s.id + "-" + name
}

// claim makes a claim of 1Gi, ReadWriteOnce; the changes come before that.
func (s *scene) claim(name, class string, changes ...func(*corev1.PersistentVolumeClaim)) *corev1.PersistentVolumeClaim {
	s.Helper()
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: s.id},
		Spec:       load.ClaimSpec(class),
	}
	for _, change := range changes {
		change(claim)
	}
	made, err := shared.Client.CoreV1().PersistentVolumeClaims(s.id).Create(s.ctx, claim, metav1.CreateOptions{})
	s.must(err)
	return made
}

// until waits until the condition holds.
func (s *scene) until(what string, condition func() (bool, error)) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	if err := wait.Until(ctx, what, condition); err != nil {
		s.Fatal(err)
	}
}

// bound waits until the claim is bound and returns its volume.
func (s *scene) bound(name string) *corev1.PersistentVolume {
	s.Helper()
	var volume string
	s.until("claim "+name+" is bound", func() (bool, error) {
		claim, err := shared.Client.CoreV1().PersistentVolumeClaims(s.id).Get(s.ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		volume = claim.Spec.VolumeName
		return claim.Status.Phase == corev1.ClaimBound, nil
	})
	found, err := shared.Client.CoreV1().PersistentVolumes().Get(s.ctx, volume, metav1.GetOptions{})
	s.must(err)
	return found
}

func (s *scene) deleteClaim(name string) {
	s.Helper()
	s.must(shared.Client.CoreV1().PersistentVolumeClaims(s.id).Delete(s.ctx, name, metav1.DeleteOptions{}))
}

// volumeGone waits until a PersistentVolume is gone.
func (s *scene) volumeGone(name string) {
	s.Helper()
	s.until("PersistentVolume "+name+" is gone", func() (bool, error) {
		_, err := shared.Client.CoreV1().PersistentVolumes().Get(s.ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		return false, err
	})
}

// event waits for an event about an object of that name, and returns its
// message. The namespace of events about volumes is "default".
func (s *scene) event(namespace, object, reason, contains string) string {
	s.Helper()
	var message string
	s.until(fmt.Sprintf("there is an event %s about %s that says %q", reason, object, contains), func() (bool, error) {
		events, err := shared.Client.CoreV1().Events(namespace).List(s.ctx, metav1.ListOptions{FieldSelector: "involvedObject.name=" + object})
		if err != nil {
			return false, err
		}
		for _, event := range events.Items {
			s.keepsSecrets("event about "+object, event.Message)
			if event.Reason == reason && strings.Contains(event.Message, contains) {
				message = event.Message
				return true, nil
			}
		}
		return false, nil
	})
	return message
}

// calls returns the driver's calls of a method, after they have ended.
func (s *scene) calls(method string, atLeast int) []control.Call {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	calls, err := s.driver.Control.WaitForCalls(ctx, control.Filter{Method: method, State: control.Finished}, atLeast)
	s.must(err)
	return calls
}

// created returns the request of the driver's n-th CreateVolume, from 0.
func (s *scene) created(n int) (*csipb.CreateVolumeRequest, control.Call) {
	s.Helper()
	call := s.calls("CreateVolume", n+1)[n]
	var request csipb.CreateVolumeRequest
	s.must(call.DecodeRequest(&request))
	return &request, call
}

// volumes returns what the driver has.
func (s *scene) volumes() []control.Volume {
	s.Helper()
	volumes, err := s.driver.Control.Volumes(s.ctx)
	s.must(err)
	return volumes
}

// rule tells the driver to behave as it says, until the returned function is
// called.
func (s *scene) rule(rule control.Rule) (remove func()) {
	s.Helper()
	id, err := s.driver.Control.AddRule(s.ctx, rule)
	s.must(err)
	return func() { s.must(s.driver.Control.RemoveRule(s.ctx, id)) }
}
