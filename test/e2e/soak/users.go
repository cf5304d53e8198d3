package soak

import (
	"context"
	"fmt"
	"time"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/load"
)

// user has one claim live after the other until it is over.
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

// live creates a claim, expands it, and deletes it, and waits for each to be done.
func (k *soak) live(ctx context.Context, name string) error {
	claims := k.cluster.Claims(namespace)
	if _, err := claims.Create(ctx, load.NewClaim(name, className)); err != nil {
		return err
	}
	if _, err := claims.WaitSize(ctx, name, load.Small); err != nil {
		return err
	}
	if err := claims.Expand(ctx, name, load.Large); err != nil {
		return err
	}
	volume, err := claims.WaitSize(ctx, name, load.Large)
	if err != nil {
		return err
	}
	if err := claims.Delete(ctx, name); err != nil {
		return err
	}
	return k.cluster.WaitVolumeGone(ctx, volume)
}
