package kube

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	corelisters "k8s.io/client-go/listers/core/v1"
)

// ClaimKey names one claim. Another one of the same name is another key.
type ClaimKey struct {
	Namespace, Name string
	UID             types.UID
}

// KeyOf returns the key of a claim.
func KeyOf(claim *corev1.PersistentVolumeClaim) ClaimKey {
	return ClaimKey{Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID}
}

// String is "namespace/name (uid)", for logs.
func (k ClaimKey) String() string { return k.Namespace + "/" + k.Name + " (" + string(k.UID) + ")" }

// Find returns the claim as the lister has it, or nil when it is gone.
func (k ClaimKey) Find(claims corelisters.PersistentVolumeClaimLister) (*corev1.PersistentVolumeClaim, error) {
	claim, err := claims.PersistentVolumeClaims(k.Namespace).Get(k.Name)
	gone := apierrors.IsNotFound(err)
	switch {
	case err != nil && !gone:
		return nil, fmt.Errorf("reading claim %s/%s: %w", k.Namespace, k.Name, err)
	case gone || claim.UID != k.UID:
		return nil, nil
	}
	return claim, nil
}
