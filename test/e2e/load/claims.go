package load

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	typed "k8s.io/client-go/kubernetes/typed/core/v1"
)

// Claims are those of the users of one namespace.
type Claims struct {
	api       API
	namespace string
}

// Claims returns those of a namespace.
func (a API) Claims(namespace string) Claims { return Claims{api: a, namespace: namespace} }

func (c Claims) client() typed.PersistentVolumeClaimInterface {
	return c.api.Client.CoreV1().PersistentVolumeClaims(c.namespace)
}

func (c Claims) doing(what, name string) string {
	return fmt.Sprintf("%s claim %s/%s", what, c.namespace, name)
}

// Create creates a claim, and reports whether it did: there may be one already, or its
// namespace may be going away.
func (c Claims) Create(ctx context.Context, claim *corev1.PersistentVolumeClaim) (created bool, err error) {
	err = c.api.Try(ctx, c.doing("creating", claim.Name), func() error {
		_, err := c.client().Create(ctx, claim, metav1.CreateOptions{})
		created = err == nil
		return err
	})
	return created, err
}

// Expand has a claim ask for a larger size, when it is bound.
func (c Claims) Expand(ctx context.Context, name, size string) error {
	return c.change(ctx, c.doing("expanding", name), name, fmt.Sprintf(`{"spec":{"resources":{"requests":{"storage":%q}}}}`, size))
}

// Modify has a claim ask for another VolumeAttributesClass, when it is bound.
func (c Claims) Modify(ctx context.Context, name, class string) error {
	return c.change(ctx, c.doing("modifying", name), name, fmt.Sprintf(`{"spec":{"volumeAttributesClassName":%q}}`, class))
}

// errUnbound is the error of claims that the API server takes no changes of.
var errUnbound = errors.New("it is not bound")

// change changes a claim, unless it is being deleted. The API server takes that for bound
// claims only.
func (c Claims) change(ctx context.Context, what, name, patch string) error {
	return c.api.Try(ctx, what, func() error {
		claim, err := c.client().Get(ctx, name, metav1.GetOptions{})
		if err != nil || claim.DeletionTimestamp != nil {
			return err
		}
		if claim.Status.Phase != corev1.ClaimBound {
			return errUnbound
		}
		_, err = c.client().Patch(ctx, name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
		return err
	})
}

// Delete deletes a claim, and does not wait until it has gone.
func (c Claims) Delete(ctx context.Context, name string) error {
	return c.api.Try(ctx, c.doing("deleting", name), func() error {
		return c.client().Delete(ctx, name, metav1.DeleteOptions{})
	})
}

// WaitGone waits until there is no claim of that name.
func (c Claims) WaitGone(ctx context.Context, name string) error {
	return c.api.waitGone(ctx, c.doing("waiting for the end of", name), func() error {
		_, err := c.client().Get(ctx, name, metav1.GetOptions{})
		return err
	})
}

// WaitSize waits until a claim is bound and has a size, with nothing left to do about it,
// and returns the name of its PersistentVolume.
func (c Claims) WaitSize(ctx context.Context, name, size string) (volume string, err error) {
	want := resource.MustParse(size)
	err = c.api.Patience.Try(ctx, c.doing("waiting for "+size+" of", name), func() error {
		claim, err := c.client().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		volume = claim.Spec.VolumeName
		status := claim.Status
		if has := status.Capacity[corev1.ResourceStorage]; status.Phase != corev1.ClaimBound || has.Cmp(want) != 0 || len(status.AllocatedResourceStatuses) > 0 {
			return fmt.Errorf("it is %s, with %s: %v", status.Phase, has.String(), status.Conditions)
		}
		return nil
	})
	return volume, err
}

// WaitVolumeGone waits until there is no PersistentVolume of that name.
func (a API) WaitVolumeGone(ctx context.Context, name string) error {
	return a.waitGone(ctx, "waiting for the end of PersistentVolume "+name, func() error {
		_, err := a.Client.CoreV1().PersistentVolumes().Get(ctx, name, metav1.GetOptions{})
		return err
	})
}

// errThere is the error of what should have gone.
var errThere = errors.New("it is still there")

func (a API) waitGone(ctx context.Context, what string, get func() error) error {
	return a.Patience.Try(ctx, what, func() error {
		err := get()
		switch {
		case err == nil:
			return errThere
		case apierrors.IsNotFound(err):
			return nil
		}
		return err
	})
}
