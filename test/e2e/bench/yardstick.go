package bench

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// bareAtOnce is how many requests a yardstick has under way at one time.
const bareAtOnce = 100

// bare returns how often something can be done in a second, by a client that does nothing
// else.
func bare(ctx context.Context, n int, do func(ctx context.Context, n int) error) (float64, error) {
	begin := time.Now()
	if err := each(ctx, n, bareAtOnce, do); err != nil {
		return 0, err
	}
	return float64(n) / time.Since(begin).Seconds(), nil
}

// bareCreates returns the rate at which the API server stores PersistentVolumes.
func (s *scene) bareCreates(ctx context.Context, n int) (float64, error) {
	rate, err := bare(ctx, n, s.createBare)
	if err != nil {
		return 0, err
	}
	return rate, s.clear(ctx)
}

func (s *scene) createBare(ctx context.Context, n int) error {
	name := fmt.Sprintf("bare-%d-%d", s.turn, n)
	volume := newVolume(name, types.NamespacedName{Namespace: namespace, Name: name}, types.UID(name))
	if _, err := s.sidecar.CoreV1().PersistentVolumes().Create(ctx, volume, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("making a PersistentVolume: %w", err)
	}
	return nil
}

// barePatches returns the rate at which it changes the status of claims.
func (s *scene) barePatches(ctx context.Context, n int) (float64, error) {
	return bare(ctx, n, func(ctx context.Context, n int) error {
		patch := fmt.Appendf(nil, `{"metadata":{"annotations":{"turn":"%d"}}}`, s.turn)
		_, err := s.sidecar.CoreV1().PersistentVolumeClaims(namespace).Patch(ctx, fmt.Sprintf("old-%d", n), types.MergePatchType, patch, metav1.PatchOptions{}, "status")
		if err != nil {
			return fmt.Errorf("changing a claim: %w", err)
		}
		return nil
	})
}

// bareDeletes returns the rate at which it deletes PersistentVolumes that have a
// finalizer: that takes two requests each.
func (s *scene) bareDeletes(ctx context.Context, n int) (float64, error) {
	if err := each(ctx, n, hands, s.createBare); err != nil {
		return 0, err
	}
	return bare(ctx, n, func(ctx context.Context, n int) error {
		name := fmt.Sprintf("bare-%d-%d", s.turn, n)
		if err := s.sidecar.CoreV1().PersistentVolumes().Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
			return fmt.Errorf("deleting a PersistentVolume: %w", err)
		}
		return s.releaseVolume(ctx, s.sidecar, name)
	})
}
