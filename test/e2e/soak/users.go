package soak

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/stage"
)

// The sizes of a claim, at first and when it has grown.
const (
	small = "1Gi"
	large = "2Gi"
)

const (
	// patience bounds each step of a volume's life, faults and all.
	patience = 3 * time.Minute
	askEvery = 300 * time.Millisecond
	// stopPatience bounds the sidecar's end.
	stopPatience = 30 * time.Second
)

func manifests() string {
	return `
apiVersion: v1
kind: Namespace
metadata: {name: soak}
---
apiVersion: v1
kind: Secret
metadata: {name: credentials, namespace: soak}
stringData: {password: ` + password + `}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: ` + className + `}
provisioner: ` + driverName + `
allowVolumeExpansion: true
parameters:
  csi.storage.k8s.io/provisioner-secret-name: credentials
  csi.storage.k8s.io/provisioner-secret-namespace: soak
  csi.storage.k8s.io/controller-expand-secret-name: credentials
  csi.storage.k8s.io/controller-expand-secret-namespace: soak
`
}

// user lets one claim live after the other until it is over.
func (k *soak) user(ctx context.Context, over <-chan struct{}, number int) error {
	for n := 0; ; n++ {
		select {
		case <-over:
			return nil
		case <-ctx.Done():
			return nil
		case <-time.After(k.options.Rest):
		}
		if err := k.live(ctx, fmt.Sprintf("u%d-%d", number, n)); err != nil {
			return err
		}
		k.volumes.Add(1)
	}
}

// live creates a claim, grows it, and deletes it, and waits for each to be done.
func (k *soak) live(ctx context.Context, name string) error {
	claims := k.client.CoreV1().PersistentVolumeClaims("soak")
	class := className
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: &class,
			AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:        corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(small)}},
		},
	}
	grow := fmt.Appendf(nil, `{"spec":{"resources":{"requests":{"storage":%q}}}}`, large)
	has := func(size string) func() error {
		return func() error {
			now, err := claims.Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			if told := now.Status.Capacity[corev1.ResourceStorage]; now.Status.Phase != corev1.ClaimBound || told.Cmp(resource.MustParse(size)) != 0 || len(now.Status.AllocatedResourceStatuses) > 0 {
				return fmt.Errorf("it is %s, with %s: %v", now.Status.Phase, told.String(), now.Status.Conditions)
			}
			claim = now
			return nil
		}
	}
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"is made", func() error {
			_, err := claims.Create(ctx, claim, metav1.CreateOptions{})
			return unless(apierrors.IsAlreadyExists, err)
		}},
		{"is bound", has(small)},
		{"is asked to grow", func() error {
			_, err := claims.Patch(ctx, name, types.MergePatchType, grow, metav1.PatchOptions{})
			return err
		}},
		{"has grown", has(large)},
		{"is deleted", func() error {
			return unless(apierrors.IsNotFound, claims.Delete(ctx, name, metav1.DeleteOptions{}))
		}},
		{"has no volume any more", func() error {
			_, err := k.client.CoreV1().PersistentVolumes().Get(ctx, claim.Spec.VolumeName, metav1.GetOptions{})
			if err == nil {
				return errors.New("its PersistentVolume is there")
			}
			return unless(apierrors.IsNotFound, err)
		}},
	} {
		if err := await(ctx, "claim "+name+" "+step.name, step.do); err != nil {
			return err
		}
	}
	return nil
}

// unless returns the error unless it is of a kind that does not matter.
func unless(harmless func(error) bool, err error) error {
	if harmless(err) {
		return nil
	}
	return err
}

// await does something again and again until it succeeds: the API server may be away.
func await(ctx context.Context, what string, do func() error) error {
	deadline := time.Now().Add(patience)
	for {
		err := do()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("waiting for %s until %s: %w", patience, what, err)
		}
		if !sleep(ctx, askEvery) {
			return context.Cause(ctx)
		}
	}
}

// sleep waits, and tells whether it did so to the end.
func sleep(ctx context.Context, duration time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(duration):
		return true
	}
}

// terminate tells the sidecar to stop, and waits until it has.
func terminate(sidecar *stage.Sidecar) error {
	if err := sidecar.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stopping the sidecar: %w", err)
	}
	select {
	case <-sidecar.Done():
		return sidecar.Wait()
	case <-time.After(stopPatience):
		return fmt.Errorf("the sidecar has not ended %s after it was told to (log %s)", stopPatience, sidecar.LogFile())
	}
}
