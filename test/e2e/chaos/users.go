package chaos

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	typed "k8s.io/client-go/kubernetes/typed/core/v1"
)

// The sizes that claims ask for, at first and when they grow.
const (
	small = "1Gi"
	large = "2Gi"
)

// provisionerAnnotation tells the driver that is to make a claim's volume.
const provisionerAnnotation = "volume.kubernetes.io/storage-provisioner"

// users do what the claims of a plan say.
type users struct {
	*lane
	plan Plan
	// unwilling tells that users no longer want to change claims that are not bound:
	// these are for the check to find.
	unwilling atomic.Bool

	mu    sync.Mutex
	asked int
	errs  []error
}

// namespaceOf is where a claim is. The round's own namespace is for those that are
// to be deleted with it.
func (u *users) namespaceOf(c Claim) string {
	if c.Apart && u.plan.NamespaceDeleted != Never {
		return u.apart()
	}
	return u.id
}

// apart is the round's own namespace.
func (u *users) apart() string { return u.id + "-r" + strconv.Itoa(u.plan.Round) }

func (u *users) claims(c Claim) typed.PersistentVolumeClaimInterface {
	return u.client.CoreV1().PersistentVolumeClaims(u.namespaceOf(c))
}

// note keeps an error.
func (u *users) note(err error) {
	if err != nil {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.errs = append(u.errs, err)
	}
}

// each does something for all claims at once, and returns when it is done.
func (u *users) each(do func(Claim) error) {
	var group sync.WaitGroup
	for _, claim := range u.plan.Claims {
		group.Go(func() { u.note(do(claim)) })
	}
	group.Wait()
}

// ask makes a claim.
func (u *users) ask(ctx context.Context, c Claim) error {
	class := u.name(string(c.Class))
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: c.Name},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: &class,
			AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:        corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(small)}},
		},
	}
	if u.plan.Ambush != Never {
		// The controller manager would do that one after the other; so all volumes
		// are made at one time.
		claim.Annotations = map[string]string{provisionerAnnotation: u.driver.Name}
	}
	return u.persist(ctx, func() error {
		_, err := u.claims(c).Create(ctx, claim, metav1.CreateOptions{})
		if err == nil {
			u.mu.Lock()
			defer u.mu.Unlock()
			u.asked++
		}
		return err
	})
}

// live has a claim live through its moments. The ones that have passed are not
// made up for: a claim that is deleted first does not grow.
func (u *users) live(ctx context.Context, begin time.Time, c Claim) error {
	var group sync.WaitGroup
	for _, change := range []struct {
		at    time.Duration
		patch string
	}{
		{c.Grown, fmt.Sprintf(`{"spec":{"resources":{"requests":{"storage":%q}}}}`, large)},
		{c.Modified, fmt.Sprintf(`{"spec":{"volumeAttributesClassName":%q}}`, u.name(c.Attributes))},
	} {
		if change.at != Never {
			group.Go(func() {
				if sleep(ctx, time.Until(begin.Add(change.at))) {
					u.note(u.change(ctx, c, change.patch))
				}
			})
		}
	}
	defer group.Wait()
	if c.Deleted == Never || !sleep(ctx, time.Until(begin.Add(c.Deleted))) {
		return nil
	}
	return u.remove(ctx, c)
}

// change changes a claim. The API server takes that for bound claims only.
func (u *users) change(ctx context.Context, c Claim, patch string) error {
	return u.persist(ctx, func() error {
		claim, err := u.claims(c).Get(ctx, c.Name, metav1.GetOptions{})
		if err != nil || claim.DeletionTimestamp != nil || u.unwilling.Load() {
			return err
		}
		if claim.Status.Phase != corev1.ClaimBound {
			return fmt.Errorf("changing claim %s/%s: it is not bound", claim.Namespace, claim.Name)
		}
		_, err = u.claims(c).Patch(ctx, c.Name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
		return err
	})
}

// remove deletes a claim, and asks for another one of its name if the plan says so.
func (u *users) remove(ctx context.Context, c Claim) error {
	err := u.persist(ctx, func() error { return u.claims(c).Delete(ctx, c.Name, metav1.DeleteOptions{}) })
	if err != nil || !c.Again {
		return err
	}
	err = u.persist(ctx, func() error {
		claim, err := u.claims(c).Get(ctx, c.Name, metav1.GetOptions{})
		if err == nil {
			return fmt.Errorf("claim %s/%s is still there", claim.Namespace, claim.Name)
		}
		return err
	})
	if err != nil {
		return err
	}
	return u.ask(ctx, c)
}

// bound waits until the claims are bound; no longer than that is reasonable, for
// the losses are to be found at rest.
func (u *users) bound(ctx context.Context) {
	deadline := time.Now().Add(quiet)
	for time.Now().Before(deadline) && sleep(ctx, retryEvery) {
		seen, err := u.observe(ctx)
		if err == nil && !hasUnbound(seen.Claims) {
			return
		}
	}
}

func hasUnbound(claims []corev1.PersistentVolumeClaim) bool {
	for _, claim := range claims {
		if claim.Status.Phase != corev1.ClaimBound {
			return true
		}
	}
	return false
}

// endNamespace deletes the round's own namespace.
func (u *users) endNamespace(ctx context.Context) error {
	err := u.client.CoreV1().Namespaces().Delete(ctx, u.apart(), metav1.DeleteOptions{})
	if apierrors.IsConflict(err) { // it is being deleted
		return nil
	}
	return err
}
