package suite

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
)

// secretRole is a use of Secrets.
type secretRole struct {
	// word is the middle of the parameters' names.
	word string
	// alias begins the names of the deprecated parameters; empty without them.
	alias string
}

func secretRoles() []secretRole {
	return []secretRole{
		{"provisioner", "csiProvisionerSecret"},
		{"controller-publish", "csiControllerPublishSecret"},
		{"node-stage", "csiNodeStageSecret"},
		{"node-publish", "csiNodePublishSecret"},
		{"controller-expand", ""},
		{"node-expand", ""},
		{"controller-modify", ""},
	}
}

// teamAnnotation is one that templates of the tests refer to.
const teamAnnotation = "example.com/team"

// namedBy are a name's and a namespace's parameters with those values.
func namedBy(prefix, name, namespace string) map[string]string {
	return map[string]string{prefix + "-name": name, prefix + "-namespace": namespace}
}

// secretCase is one way in which a class can name a role's Secret.
type secretCase struct {
	name       string
	parameters map[string]string
	// secret and namespace are the templates in the parameters.
	secret, namespace string
	// all tells that they are for all roles.
	all bool
}

func secretCases(role secretRole) []secretCase {
	const (
		everything = "${pv.name}.${pvc.name}.${pvc.namespace}.${pvc.annotations['" + teamAnnotation + "']}"
		here       = "${pvc.namespace}"
		own        = "${pv.name}"
	)
	current, fallback := reservedPrefix+role.word+"-secret", reservedPrefix+"secret"
	cases := []secretCase{
		{"templates", namedBy(current, everything, here), everything, here, false},
		{"namespace-of-the-volume", namedBy(current, "fixed", own), "fixed", own, false},
		{"default", namedBy(fallback, everything, here), everything, here, true},
	}
	if role.alias != "" {
		aliases := map[string]string{role.alias + "Name": everything, role.alias + "Namespace": here}
		cases = append(cases, secretCase{"alias", aliases, everything, here, false})
	}
	return cases
}

// resolved is what a template must become for a claim.
func resolved(template string, claim *corev1.PersistentVolumeClaim) string {
	return strings.NewReplacer(
		"${pv.name}", "pvc-"+string(claim.UID),
		"${pvc.name}", claim.Name,
		"${pvc.namespace}", claim.Namespace,
		"${pvc.annotations['"+teamAnnotation+"']}", claim.Annotations[teamAnnotation],
	).Replace(template)
}

// secretRefs are the Secrets that a volume refers to, by role.
func secretRefs(volume *corev1.PersistentVolume) map[string]corev1.SecretReference {
	source, notes := volume.Spec.CSI, volume.Annotations
	refs := map[string]corev1.SecretReference{}
	for role, ref := range map[string]*corev1.SecretReference{
		"provisioner":        {Name: notes[deletionSecretName], Namespace: notes[deletionSecretNamespace]},
		"controller-publish": source.ControllerPublishSecretRef,
		"node-stage":         source.NodeStageSecretRef,
		"node-publish":       source.NodePublishSecretRef,
		"controller-expand":  source.ControllerExpandSecretRef,
		"node-expand":        source.NodeExpandSecretRef,
		"controller-modify":  {Name: notes[modifySecretName], Namespace: notes[modifySecretNamespace]},
	} {
		if ref != nil && (ref.Name != "" || ref.Namespace != "") {
			refs[role] = *ref
		}
	}
	return refs
}

// TestSecretRoles: whatever way a class names a role's Secret, the volume refers
// to it, and the one for the provisioner reaches the driver.
func TestSecretRoles(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.sidecar(soon)
	for _, role := range secretRoles() {
		t.Run(role.word, func(t *testing.T) {
			t.Parallel()
			s := s.in(t)
			for _, c := range secretCases(role) {
				s.namesSecret(role, c)
			}
			s.keepsSecretsInEvents()
		})
	}
}

func (s *scene) namesSecret(role secretRole, c secretCase) {
	s.Helper()
	name := role.word + "-" + c.name
	claim := s.claim(name, s.class(name, c.parameters), annotated(teamAnnotation, "blue"))
	ref := corev1.SecretReference{Name: resolved(c.secret, claim), Namespace: resolved(c.namespace, claim)}
	content := map[string]string{"username": "admin", "password": password + "-" + name}
	s.ensureNamespace(ref.Namespace)
	s.secret(ref.Namespace, ref.Name, content)

	volume := s.boundToOne(claim)
	want := map[string]corev1.SecretReference{role.word: ref}
	if c.all {
		for _, other := range secretRoles() {
			want[other.word] = ref
		}
	}
	if diff := cmp.Diff(want, secretRefs(volume)); diff != "" {
		s.Errorf("%s: the volume's Secrets (-want +got):\n%s", c.name, diff)
	}
	s.keepsSecretsInside("the PersistentVolume", volume)
	if _, sent := want["provisioner"]; !sent {
		content = nil
	}
	request, create := s.requestFor(claim)
	for key := range request.GetParameters() {
		if strings.HasPrefix(key, reservedPrefix) {
			s.Errorf("%s: the driver got the parameter %s", c.name, key)
		}
	}
	s.sentSecrets(create, content)
	s.deleteClaim(claim.Name)
	s.volumeGone(volume.Name)
	s.sentSecrets(s.callsFor(claim, "DeleteVolume")[0], content)
}

// sentSecrets fails the test unless the call came with just these secrets.
func (s *scene) sentSecrets(call control.Call, want map[string]string) {
	s.Helper()
	if len(want) == 0 && len(call.Secrets) == 0 {
		return
	}
	if diff := cmp.Diff(want, call.Secrets); diff != "" {
		s.Errorf("the secrets of %s (-want +got):\n%s", call.Method, diff)
	}
}

func (s *scene) ensureNamespace(name string) {
	s.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	_, err := shared.Client.CoreV1().Namespaces().Create(s.ctx, namespace, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		s.Fatal(err)
	}
}

// TestOwnSecretBeforeDefault: the default pair is for roles without a pair of
// their own, under their current names or their deprecated ones.
func TestOwnSecretBeforeDefault(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.sidecar(soon)
	s.secret(s.id, "common", map[string]string{"password": password})
	class := s.class("class", map[string]string{
		reservedPrefix + "secret-name":                 "common",
		reservedPrefix + "secret-namespace":            s.id,
		reservedPrefix + "node-stage-secret-name":      "own",
		reservedPrefix + "node-stage-secret-namespace": "elsewhere",
		"csiNodePublishSecretName":                     "old",
		"csiNodePublishSecretNamespace":                "elsewhere",
	})
	volume := s.boundToOne(s.claim("claim", class))
	want := map[string]corev1.SecretReference{}
	for _, role := range secretRoles() {
		want[role.word] = corev1.SecretReference{Namespace: s.id, Name: "common"}
	}
	want["node-stage"] = corev1.SecretReference{Namespace: "elsewhere", Name: "own"}
	want["node-publish"] = corev1.SecretReference{Namespace: "elsewhere", Name: "old"}
	if diff := cmp.Diff(want, secretRefs(volume)); diff != "" {
		t.Errorf("the volume's Secrets (-want +got):\n%s", diff)
	}
}

// secretMemory is how long the sidecar may go on with what it has read of a
// Secret.
const secretMemory = 2 * time.Second

// TestSecretChangesBeforeDelete: what a Secret holds when the volume is deleted
// is what counts, at the latest when the driver does not take the old content.
func TestSecretChangesBeforeDelete(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.sidecar(soon)
	for _, c := range []struct {
		name   string
		age    time.Duration
		denied int
	}{
		{"at-once", 0, 1},
		{"later", secretMemory, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := s.in(t)
			old, changed := map[string]string{"password": password + "-old"}, map[string]string{"password": password + "-new"}
			s.secret(s.id, c.name, old)
			claim := s.claim(c.name, s.class(c.name, s.provisionerSecret(c.name)))
			volume := s.boundToOne(claim)
			_, create := s.requestFor(claim)
			s.sentSecrets(create, old)

			s.secret(s.id, c.name, changed)
			s.aged(create, c.age)
			if c.denied > 0 {
				s.rule(control.Rule{
					Match:   control.Match{Method: "DeleteVolume", Volume: string(claim.UID)},
					Count:   c.denied,
					Code:    codes.Unauthenticated,
					Message: "wrong password",
				})
			}
			s.deleteClaim(claim.Name)
			s.volumeGone(volume.Name)
			deletes := s.callsFor(claim, "DeleteVolume")
			if len(deletes) != c.denied+1 {
				t.Fatalf("DeleteVolume was called %d times, want %d: %v", len(deletes), c.denied+1, deletes)
			}
			s.sentSecrets(deletes[c.denied], changed)
			s.nothingLeft(claim)
		})
	}
}

// aged waits until that long after a call.
func (s *scene) aged(call control.Call, age time.Duration) {
	s.Helper()
	s.until("the sidecar has forgotten the Secret", func() (bool, error) {
		return time.Since(call.Finished) > age, nil
	})
}

// TestSecretGoneBeforeDelete: a Secret that is no more does not keep the volume.
func TestSecretGoneBeforeDelete(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.sidecar(soon)
	s.secret(s.id, "short-lived", map[string]string{"password": password})
	claim := s.claim("claim", s.class("class", s.provisionerSecret("short-lived")))
	volume := s.boundToOne(claim)
	_, create := s.requestFor(claim)
	s.sentSecrets(create, map[string]string{"password": password})

	s.must(shared.Client.CoreV1().Secrets(s.id).Delete(s.ctx, "short-lived", metav1.DeleteOptions{}))
	s.aged(create, secretMemory)
	s.deleteClaim(claim.Name)
	s.volumeGone(volume.Name)
	s.sentSecrets(s.callsFor(claim, "DeleteVolume")[0], nil)
	s.nothingLeft(claim)
}
