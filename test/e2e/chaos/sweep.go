package chaos

import (
	"context"
	"errors"
	"fmt"
	"time"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/wait"
)

// broom cleans up after a round.
type broom struct {
	*lane
	conn *grpc.ClientConn
}

func (l *lane) newBroom() (*broom, error) {
	conn, err := grpc.NewClient("unix://"+l.driver.Socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, fmt.Errorf("connecting to the driver: %w", err)
	}
	return &broom{l, conn}, nil
}

func (b *broom) close() { _ = b.conn.Close() }

// tidy does what users and administrators do in the end: delete the claims, and the
// volumes that are retained. What fails is done again with the next look.
func (b *broom) tidy(ctx context.Context, seen Observation) {
	for _, claim := range seen.Claims {
		if claim.DeletionTimestamp == nil {
			_ = b.client.CoreV1().PersistentVolumeClaims(claim.Namespace).Delete(ctx, claim.Name, metav1.DeleteOptions{})
		}
	}
	for _, volume := range seen.PersistentVolumes {
		if volume.Status.Phase == corev1.VolumeReleased && volume.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimRetain {
			if b.deleteVolume(ctx, volume.Spec.CSI.VolumeHandle) == nil {
				_ = b.client.CoreV1().PersistentVolumes().Delete(ctx, volume.Name, metav1.DeleteOptions{})
			}
		}
	}
}

// force removes all that is left, so that nothing is counted twice.
func (b *broom) force(ctx context.Context, seen Observation) {
	const noFinalizers = `{"metadata":{"finalizers":null}}`
	for _, claim := range seen.Claims {
		claims := b.client.CoreV1().PersistentVolumeClaims(claim.Namespace)
		_ = claims.Delete(ctx, claim.Name, metav1.DeleteOptions{})
		_, _ = claims.Patch(ctx, claim.Name, types.MergePatchType, []byte(noFinalizers), metav1.PatchOptions{})
	}
	for _, volume := range seen.PersistentVolumes {
		volumes := b.client.CoreV1().PersistentVolumes()
		_ = volumes.Delete(ctx, volume.Name, metav1.DeleteOptions{})
		_, _ = volumes.Patch(ctx, volume.Name, types.MergePatchType, []byte(noFinalizers), metav1.PatchOptions{})
	}
	for _, volume := range seen.Volumes {
		_ = b.deleteVolume(ctx, volume.ID)
	}
	for _, batch := range seen.Batches {
		_ = b.client.CoreV1().ConfigMaps(metav1.NamespaceDefault).Delete(ctx, batch, metav1.DeleteOptions{})
	}
}

// empty forces all away that is left, so that the next round begins with nothing.
func (b *broom) empty(ctx context.Context, seen Observation) error {
	for deadline := time.Now().Add(patience); ; {
		b.force(ctx, seen)
		now, err := b.observe(ctx)
		if err == nil {
			seen = now
		}
		switch {
		case err == nil && seen.Size() == 0:
			return nil
		case time.Now().After(deadline):
			return errors.Join(fmt.Errorf("cleaning up: after %s there are still %s", patience, seen), err)
		case !wait.Sleep(ctx, lookEvery):
			return ctx.Err()
		}
	}
}

func (b *broom) deleteVolume(ctx context.Context, handle string) error {
	_, err := csipb.NewControllerClient(b.conn).DeleteVolume(ctx, &csipb.DeleteVolumeRequest{VolumeId: handle})
	return err
}
