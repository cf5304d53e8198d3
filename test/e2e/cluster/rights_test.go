package cluster_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/cluster"
)

// testServiceAccount gives a service account one right, and sees that it has
// that one and no other.
func testServiceAccount(t *testing.T, c *cluster.Cluster) {
	ctx, namespace := t.Context(), metav1.NamespaceDefault
	grant(t, c, "sidecar", rbacv1.PolicyRule{
		APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"list"},
	})

	client := clientFor(t, c, namespace, "sidecar")
	eventually(t, soon, func() error { // the authorizer learns of the role by a watch
		_, err := client.CoreV1().ConfigMaps(namespace).List(ctx, metav1.ListOptions{})
		return err
	})
	if _, err := client.CoreV1().Secrets(namespace).List(ctx, metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("listing secrets without the right to: %v", err)
	}
	if _, err := client.CoreV1().ConfigMaps("kube-system").List(ctx, metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("listing in another namespace: %v", err)
	}
	if _, err := c.KubeconfigFor(ctx, namespace, "nobody"); !apierrors.IsNotFound(err) {
		t.Errorf("a kubeconfig for a service account that is not there: %v", err)
	}
}

// grant makes a service account with one right in its namespace, default.
func grant(t *testing.T, c *cluster.Cluster, name string, rule rbacv1.PolicyRule) {
	t.Helper()
	ctx, namespace, meta := t.Context(), metav1.NamespaceDefault, metav1.ObjectMeta{Name: name}
	account := &corev1.ServiceAccount{ObjectMeta: meta}
	if _, err := c.Client().CoreV1().ServiceAccounts(namespace).Create(ctx, account, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	role := &rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{rule}}
	if _, err := c.Client().RbacV1().Roles(namespace).Create(ctx, role, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: meta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: name}},
	}
	if _, err := c.Client().RbacV1().RoleBindings(namespace).Create(ctx, binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func clientFor(t *testing.T, c *cluster.Cluster, namespace, account string) kubernetes.Interface {
	t.Helper()
	path, err := c.KubeconfigFor(t.Context(), namespace, account)
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}
