package suite

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
)

// badClass is a class with which no volume can be made.
type badClass struct {
	name       string
	parameters map[string]string
	// says are parts of the warning, beside the class's name.
	says []string
}

func badClasses() []badClass {
	const (
		name      = reservedPrefix + "node-stage-secret-name"
		namespace = reservedPrefix + "node-stage-secret-namespace"
	)
	pair := func(inName, inNamespace string) map[string]string {
		return map[string]string{name: inName, namespace: inNamespace}
	}
	return []badClass{
		{"unknown-key", map[string]string{reservedPrefix + "colour": "red"},
			[]string{reservedPrefix + "colour", "unknown parameter", "reserved"}},
		{"misspelt-key", map[string]string{reservedPrefix + "node-stage-secret-nam": "x"},
			[]string{reservedPrefix + "node-stage-secret-nam", "did you mean", name}},
		{"name-alone", map[string]string{name: "x"},
			[]string{name, "without", namespace, "give the other or remove"}},
		{"namespace-alone", map[string]string{namespace: "x"},
			[]string{namespace, "without", name, "give the other or remove"}},
		{"default-name-alone", map[string]string{reservedPrefix + "secret-name": "x"},
			[]string{reservedPrefix + "secret-name", "without", reservedPrefix + "secret-namespace"}},
		{"empty-name", pair("", "x"), []string{name, "empty", "give it a value"}},
		{"both-names", map[string]string{name: "x", "csiNodeStageSecretName": "x", namespace: "x"},
			[]string{name, "csiNodeStageSecretName", "remove one"}},
		{"unknown-token", pair("${pvc.colour}", "x"),
			[]string{name, "unknown token", "${pvc.colour}", "allowed are"}},
		{"misspelt-token", pair("${pvc.anotations['a']}", "x"),
			[]string{name, "unknown token", "did you mean", "${pvc.annotations['a']}"}},
		{"unclosed-token", pair("${pvc.name", "x"), []string{name, "malformed token", "${pvc.name"}},
		{"token-not-for-namespace", pair("x", "${pvc.name}"),
			[]string{namespace, "${pvc.name}", "may not be used", "allowed are ${pv.name} and ${pvc.namespace}"}},
		{"annotation-in-namespace", pair("x", "${pvc.annotations['a']}"),
			[]string{namespace, "may not be used", "allowed are ${pv.name} and ${pvc.namespace}"}},
		{"missing-annotation", pair("${pvc.annotations['a']}", "x"),
			[]string{name, "no such annotation", "add it to claim"}},
		{"invalid-name", pair("Not a Name", "x"), []string{name, "not a valid name", "it must be"}},
		{"invalid-namespace", pair("x", "${pvc.namespace}.x"),
			[]string{namespace, "resolves to", "not a valid namespace", "it must be"}},
		{"both-fstypes", map[string]string{reservedPrefix + "fstype": "xfs", "fsType": "xfs"},
			[]string{reservedPrefix + "fstype", "fsType", "keep"}},
	}
}

// TestBadClass: a claim is told what is wrong with its class, and gets its
// volume once another class is in its place.
func TestBadClass(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.sidecar(soon)
	for _, bad := range badClasses() {
		t.Run(bad.name, func(t *testing.T) {
			t.Parallel()
			s := s.in(t)
			class := s.class(bad.name, bad.parameters)
			claim := s.claim(bad.name, class)
			t.Log(s.warnings(2, claim.Name, append(bad.says, fmt.Sprintf("StorageClass %q", class))...))
			s.untouched(claim)
			s.replaceClass(bad.name, nil)
			s.boundToOne(claim)
		})
	}
}

// TestMissingClass: the claim is provisioned as soon as its class appears.
func TestMissingClass(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	// Without a wake-up the claim would have to wait much longer.
	s.sidecar("--retry-interval-start=5m", "--retry-interval-max=5m")
	t.Run("driver-known", func(t *testing.T) {
		t.Parallel()
		s := s.in(t)
		// As kube-controller-manager leaves a claim whose class goes early.
		claim := s.claim("driver-known", s.id+"-driver-known", annotated("volume.kubernetes.io/storage-provisioner", s.driver.Name))
		s.warning(claim.Name, `StorageClass "`+s.id+`-driver-known"`, "does not exist", "create it")
		s.untouched(claim)
		s.boundSoonAfterClass(claim, "driver-known")
	})
	t.Run("driver-unknown", func(t *testing.T) {
		t.Parallel()
		s := s.in(t)
		claim := s.claim("driver-unknown", s.id+"-driver-unknown")
		// Whose claim this is nobody knows yet: the warning is Kubernetes' own.
		s.event(s.id, claim.Name, reasonFailed, s.id+"-driver-unknown")
		s.untouched(claim)
		s.boundSoonAfterClass(claim, "driver-unknown")
	})
}

func (s *scene) boundSoonAfterClass(claim *corev1.PersistentVolumeClaim, class string) {
	s.Helper()
	created := time.Now()
	s.class(class, nil)
	stored := time.Since(created)
	s.boundToOne(claim)
	_, call := s.requestFor(claim)
	s.Logf("class stored after %s, CreateVolume called after %s, bound after %s", stored, call.Started.Sub(created), time.Since(created))
}

// TestSelector: a claim that selects among volumes gets no new one.
func TestSelector(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.sidecar(soon)
	class := s.class("class", nil)
	claim := s.claim("choosy", class, func(claim *corev1.PersistentVolumeClaim) {
		claim.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"colour": "red"}}
	})
	t.Log(s.warnings(2, claim.Name, "spec.selector", "create the claim without it"))
	s.untouched(claim)
	s.deleteClaim(claim.Name)
	s.claimGone(claim.Name)
	s.boundToOne(s.claim("choosy", class))
}

// TestMissingSecret: the claim gets its volume when the Secret is there.
func TestMissingSecret(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.sidecar(soon)
	claim := s.claim("claim", s.class("class", s.provisionerSecret("late")))
	t.Log(s.warnings(2, claim.Name, `Secret "`+s.id+`/late"`, "does not exist", "create it"))
	s.untouched(claim)
	s.secret(s.id, "late", map[string]string{"password": password})
	s.boundToOne(claim)
	_, call := s.requestFor(claim)
	s.sentSecrets(call, map[string]string{"password": password})
	s.keepsSecretsInEvents()
}

// TestForbiddenSecret: the sidecar may run without the right to read Secrets;
// the claim gets its volume when the right is granted.
func TestForbiddenSecret(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.sidecar(soon, "--kubeconfig="+s.accountWithoutSecrets())
	s.secret(s.id, "private", map[string]string{"password": password})
	claim := s.claim("claim", s.class("class", s.provisionerSecret("private")))
	t.Log(s.warnings(2, claim.Name, `Secret "`+s.id+`/private"`, "may not", "grant it the verb get for secrets in namespace", s.id))
	s.untouched(claim)
	s.boundToOne(s.claim("needs-none", s.class("without-secret", nil)))

	s.apply(fmt.Sprintf(`
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: secrets, namespace: %[1]s}
rules:
- {apiGroups: [""], resources: [secrets], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: secrets, namespace: %[1]s}
subjects:
- {kind: ServiceAccount, name: restricted, namespace: %[1]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: secrets}
`, s.id))
	s.boundToOne(claim)
}

// accountWithoutSecrets makes a service account that may do all that the
// sidecar's may but read Secrets, and returns the path of its kubeconfig.
func (s *scene) accountWithoutSecrets() string {
	s.Helper()
	role, err := shared.Client.RbacV1().ClusterRoles().Get(s.ctx, "csi-provisioner", metav1.GetOptions{})
	s.must(err)
	restricted := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: s.id}}
	for _, rule := range role.Rules {
		if strings.Join(rule.Resources, "") != "secrets" {
			restricted.Rules = append(restricted.Rules, rule)
		}
	}
	if len(restricted.Rules) == len(role.Rules) {
		s.Fatal("the sidecar's role has no rule of its own for Secrets")
	}
	_, err = shared.Client.RbacV1().ClusterRoles().Create(s.ctx, restricted, metav1.CreateOptions{})
	s.must(err)
	return s.account("restricted", s.id)
}

// TestIncapableDriver: a driver without CREATE_DELETE_VOLUME is not called; once
// it can, a sidecar that starts then makes the volume.
func TestIncapableDriver(t *testing.T) {
	t.Parallel()
	s := newScene(t, "--controller-capabilities=*,-CREATE_DELETE_VOLUME")
	sidecar := s.sidecar(soon)
	claim := s.claim("claim", s.class("class", nil))
	t.Log(s.warnings(2, claim.Name, `CSI driver "`+s.driver.Name+`"`, "CREATE_DELETE_VOLUME", "use a class of another driver"))
	if calls, err := s.driver.Control.Calls(s.ctx, control.Filter{Method: "CreateVolume"}); err != nil || len(calls) > 0 {
		t.Errorf("the driver was called: %v, %v", calls, err)
	}
	s.must(s.driver.Process().Kill())
	s.must(sidecar.Kill())

	var err error
	s.driver, err = shared.StartDriver(s.ctx, s.id+"-2", s.driver.Name, "--backend=directory")
	s.must(err)
	t.Cleanup(func() { _ = s.driver.Process().Kill() })
	s.namedSidecar("sidecar-"+s.id+"-2", soon)
	s.boundToOne(claim)
}
