package source

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Grant is what is read of a ReferenceGrant (gateway.networking.k8s.io/v1beta1). It
// is for objects of its own namespace.
type Grant struct {
	metav1.ObjectMeta `json:"metadata"`
	Spec              GrantSpec `json:"spec"`
}

// GrantSpec says who may refer to what.
type GrantSpec struct {
	From []GrantFrom `json:"from"`
	To   []GrantTo   `json:"to"`
}

// GrantFrom are objects that may refer.
type GrantFrom struct {
	Group     string `json:"group"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
}

// GrantTo are objects that may be referred to; all of that kind without a name.
type GrantTo struct {
	Group string  `json:"group"`
	Kind  string  `json:"kind"`
	Name  *string `json:"name,omitempty"`
}

// Granted tells whether one of the grants lets claims of a namespace use the source
// (KEP-3294).
func Granted(grants []*Grant, claims string, ref Ref) bool {
	for _, grant := range grants {
		if grant.Namespace == ref.Namespace && grant.from(claims) && grant.to(ref) {
			return true
		}
	}
	return false
}

func (g *Grant) from(claims string) bool {
	for _, from := range g.Spec.From {
		if from == (GrantFrom{Kind: KindClaim, Namespace: claims}) {
			return true
		}
	}
	return false
}

func (g *Grant) to(ref Ref) bool {
	for _, to := range g.Spec.To {
		if to.Group == ref.Group && to.Kind == ref.Kind && (to.Name == nil || *to.Name == "" || *to.Name == ref.Name) {
			return true
		}
	}
	return false
}
