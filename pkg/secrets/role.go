package secrets

import (
	"slices"
	"strconv"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
)

// Role is what a Secret is used for: the calls of the CSI specification that it
// is sent with.
type Role uint8

// The roles that a Secret can be used for. Another one, the default, has no use
// of its own: its parameters stand in for every role that has none, so it is not
// exported.
const (
	fallback Role = iota
	// Provisioner: CreateVolume and DeleteVolume.
	Provisioner
	// ControllerPublish: ControllerPublishVolume and ControllerUnpublishVolume.
	ControllerPublish
	// NodeStage: NodeStageVolume.
	NodeStage
	// NodePublish: NodePublishVolume.
	NodePublish
	// ControllerExpand: ControllerExpandVolume.
	ControllerExpand
	// NodeExpand: NodeExpandVolume.
	NodeExpand
	// ControllerModify: ControllerModifyVolume.
	ControllerModify

	firstRole, lastRole = Provisioner, ControllerModify
)

// String is the role as it is written in a parameter, such as "node-stage".
func (r Role) String() string {
	if l, ok := lineOf(r); ok {
		return l.word
	}
	return "role(" + strconv.Itoa(int(r)) + ")"
}

// Roles returns the seven roles that a volume has a place for, in the order in
// which [ResolveAll] looks at them.
func Roles() []Role {
	var roles []Role
	for role := firstRole; role <= lastRole; role++ {
		roles = append(roles, role)
	}
	return roles
}

// Parameters returns the 16 keys of this package under the prefix
// csi.storage.k8s.io/. None of them is for the driver.
func Parameters() []string {
	var keys []string
	for _, l := range table() {
		keys = append(keys, l.name.current, l.namespace.current)
	}
	return keys
}

// IsParameter tells whether key is one of [Parameters], and so must be stripped
// from what the driver is sent. A deprecated alias is not: it is passed on, as
// external-provisioner does; see [Replacement].
func IsParameter(key string) bool {
	return slices.Contains(Parameters(), key)
}

// Replacement returns the parameter that has replaced a deprecated alias such as
// csiNodeStageSecretName; false if key is no such alias.
func Replacement(alias string) (string, bool) {
	for _, l := range table() {
		for _, k := range []key{l.name, l.namespace} {
			if k.deprecated == alias && alias != "" {
				return k.current, true
			}
		}
	}
	return "", false
}

// line is one role in the table: its word and the parameters that name its Secret.
type line struct {
	word            string
	name, namespace key
}

// key is a parameter under its current and, where it has one, its deprecated name.
type key struct {
	current, deprecated string
}

// table is the one place that knows the keys of each role. It is in the order of the roles,
// and an array, as it is looked at for each claim: one needs no memory of its own.
func table() [lastRole + 1]line {
	const csi = names.ParameterPrefix
	return [...]line{
		fallback: {
			"default",
			key{current: csi + "secret-name"},
			key{current: csi + "secret-namespace"},
		}, Provisioner: {
			"provisioner",
			key{csi + "provisioner-secret-name", "csiProvisionerSecretName"},
			key{csi + "provisioner-secret-namespace", "csiProvisionerSecretNamespace"},
		}, ControllerPublish: {
			"controller-publish",
			key{csi + "controller-publish-secret-name", "csiControllerPublishSecretName"},
			key{csi + "controller-publish-secret-namespace", "csiControllerPublishSecretNamespace"},
		}, NodeStage: {
			"node-stage",
			key{csi + "node-stage-secret-name", "csiNodeStageSecretName"},
			key{csi + "node-stage-secret-namespace", "csiNodeStageSecretNamespace"},
		}, NodePublish: {
			"node-publish",
			key{csi + "node-publish-secret-name", "csiNodePublishSecretName"},
			key{csi + "node-publish-secret-namespace", "csiNodePublishSecretNamespace"},
		}, ControllerExpand: {
			"controller-expand",
			key{current: csi + "controller-expand-secret-name"},
			key{current: csi + "controller-expand-secret-namespace"},
		}, NodeExpand: {
			"node-expand",
			key{current: csi + "node-expand-secret-name"},
			key{current: csi + "node-expand-secret-namespace"},
		}, ControllerModify: {
			"controller-modify",
			key{current: csi + "controller-modify-secret-name"},
			key{current: csi + "controller-modify-secret-namespace"},
		},
	}
}

func lineOf(role Role) (line, bool) {
	if role > lastRole {
		return line{}, false
	}
	return table()[role], true
}
