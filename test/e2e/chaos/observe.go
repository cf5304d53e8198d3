package chaos

import (
	"context"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// journalLabel is the label of the journal's ConfigMaps; its value is the driver's
// name.
const journalLabel = "csi-provisioner/journal"

// observe looks at all that there is of the lane's driver. The driver's volumes
// come last, so that a volume that is being made is not seen without the other
// traces of it.
func (l *lane) observe(ctx context.Context) (Observation, error) {
	seen := Observation{Attributes: l.attributes()}
	claims, err := l.client.CoreV1().PersistentVolumeClaims(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
	if err != nil {
		return seen, fmt.Errorf("listing claims: %w", err)
	}
	for _, claim := range claims.Items {
		if claim.Namespace == l.id || strings.HasPrefix(claim.Namespace, l.id+"-r") {
			seen.Claims = append(seen.Claims, claim)
		}
	}
	persistent, err := l.client.CoreV1().PersistentVolumes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return seen, fmt.Errorf("listing PersistentVolumes: %w", err)
	}
	for _, volume := range persistent.Items {
		if volume.Spec.CSI != nil && volume.Spec.CSI.Driver == l.driver.Name {
			seen.PersistentVolumes = append(seen.PersistentVolumes, volume)
		}
	}
	segments, err := l.client.CoreV1().ConfigMaps(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{LabelSelector: journalLabel + "=" + l.driver.Name})
	if err != nil {
		return seen, fmt.Errorf("listing the journal: %w", err)
	}
	for _, segment := range segments.Items {
		seen.Segments = append(seen.Segments, segment.Name)
	}
	if seen.Volumes, err = l.driver.Control.Volumes(ctx); err != nil {
		return seen, fmt.Errorf("listing the driver's volumes: %w", err)
	}
	return seen, nil
}
