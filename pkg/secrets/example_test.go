package secrets_test

import (
	"fmt"

	"github.com/csi-provisioner/csi-provisioner/pkg/secrets"
)

func ExampleResolve() {
	parameters := map[string]string{
		"csi.storage.k8s.io/node-expand-secret-name":      "luks-${pvc.name}",
		"csi.storage.k8s.io/node-expand-secret-namespace": "${pvc.namespace}",
		"csi.storage.k8s.io/node-stage-secret-name":       "luks-${pvc.nme}",
		"csi.storage.k8s.io/node-stage-secret-namespace":  "${pvc.namespace}",
	}
	v := secrets.Volume{PVName: "pvc-1", ClaimNamespace: "shop", ClaimName: "orders"}
	fmt.Println(secrets.Resolve(secrets.NodeExpand, parameters, v))
	_, err := secrets.Resolve(secrets.NodeStage, parameters, v)
	fmt.Println(err)
	// Output:
	// shop/luks-orders <nil>
	// StorageClass parameter "csi.storage.k8s.io/node-stage-secret-name": template "luks-${pvc.nme}": unknown token "${pvc.nme}" (did you mean "${pvc.name}"?): allowed are ${pv.name}, ${pvc.name}, ${pvc.namespace} and ${pvc.annotations['KEY']}
}
