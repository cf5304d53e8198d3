package load

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/wait"
)

// API is the API server as administrators and users see it.
type API struct {
	Client kubernetes.Interface
	// Patience is how long each step is tried.
	Patience wait.Patience
}

// Try does something until it succeeds, or nothing is left to do.
func (a API) Try(ctx context.Context, what string, do func() error) error {
	return a.Patience.Try(ctx, what, func() error {
		err := do()
		if isDone(err) {
			return nil
		}
		return err
	})
}

// isDone reports whether an error says that nothing is left to do: what is to be created
// exists or can no longer be, what is to be changed or deleted has gone.
func isDone(err error) bool {
	return apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err) || apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)
}

// CreateNamespace creates a namespace with its Secret.
func (a API) CreateNamespace(ctx context.Context, name string) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	err := a.Try(ctx, "creating namespace "+name, func() error {
		_, err := a.Client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{})
		return err
	})
	if err != nil {
		return err
	}
	return a.CreateSecret(ctx, name)
}

// DeleteNamespace deletes a namespace, and does not wait until it has gone.
func (a API) DeleteNamespace(ctx context.Context, name string) error {
	return a.Try(ctx, "deleting namespace "+name, func() error {
		err := a.Client.CoreV1().Namespaces().Delete(ctx, name, metav1.DeleteOptions{})
		if apierrors.IsConflict(err) { // it is being deleted
			return nil
		}
		return err
	})
}

// CreateSecret creates the Secret of a namespace.
func (a API) CreateSecret(ctx context.Context, namespace string) error {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: secretName}, StringData: map[string]string{"password": password}}
	return a.Try(ctx, fmt.Sprintf("creating Secret %s/%s", namespace, secretName), func() error {
		_, err := a.Client.CoreV1().Secrets(namespace).Create(ctx, secret, metav1.CreateOptions{})
		return err
	})
}

// DeleteSecret deletes the Secret of a namespace.
func (a API) DeleteSecret(ctx context.Context, namespace string) error {
	return a.Try(ctx, fmt.Sprintf("deleting Secret %s/%s", namespace, secretName), func() error {
		return a.Client.CoreV1().Secrets(namespace).Delete(ctx, secretName, metav1.DeleteOptions{})
	})
}

// CreateClass creates a StorageClass.
func (a API) CreateClass(ctx context.Context, class *storagev1.StorageClass) error {
	return a.Try(ctx, "creating StorageClass "+class.Name, func() error {
		_, err := a.Client.StorageV1().StorageClasses().Create(ctx, class, metav1.CreateOptions{})
		return err
	})
}

// DeleteClass deletes a StorageClass.
func (a API) DeleteClass(ctx context.Context, name string) error {
	return a.Try(ctx, "deleting StorageClass "+name, func() error {
		return a.Client.StorageV1().StorageClasses().Delete(ctx, name, metav1.DeleteOptions{})
	})
}

// CreateAttributesClass creates a VolumeAttributesClass.
func (a API) CreateAttributesClass(ctx context.Context, class *storagev1.VolumeAttributesClass) error {
	return a.Try(ctx, "creating VolumeAttributesClass "+class.Name, func() error {
		_, err := a.Client.StorageV1().VolumeAttributesClasses().Create(ctx, class, metav1.CreateOptions{})
		return err
	})
}
