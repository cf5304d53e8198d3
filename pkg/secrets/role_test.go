package secrets_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csi-provisioner/csi-provisioner/pkg/secrets"
)

// roleKeys are the parameters of each role, written out here once more.
func roleKeys() map[secrets.Role][]string {
	return map[secrets.Role][]string{
		secrets.Provisioner: {
			"csi.storage.k8s.io/provisioner-secret-name", "csi.storage.k8s.io/provisioner-secret-namespace",
			"csiProvisionerSecretName", "csiProvisionerSecretNamespace",
		},
		secrets.ControllerPublish: {
			"csi.storage.k8s.io/controller-publish-secret-name", "csi.storage.k8s.io/controller-publish-secret-namespace",
			"csiControllerPublishSecretName", "csiControllerPublishSecretNamespace",
		},
		secrets.NodeStage: {
			"csi.storage.k8s.io/node-stage-secret-name", "csi.storage.k8s.io/node-stage-secret-namespace",
			"csiNodeStageSecretName", "csiNodeStageSecretNamespace",
		},
		secrets.NodePublish: {
			"csi.storage.k8s.io/node-publish-secret-name", "csi.storage.k8s.io/node-publish-secret-namespace",
			"csiNodePublishSecretName", "csiNodePublishSecretNamespace",
		},
		secrets.ControllerExpand: {
			"csi.storage.k8s.io/controller-expand-secret-name", "csi.storage.k8s.io/controller-expand-secret-namespace",
		},
		secrets.NodeExpand: {
			"csi.storage.k8s.io/node-expand-secret-name", "csi.storage.k8s.io/node-expand-secret-namespace",
		},
		secrets.ControllerModify: {
			"csi.storage.k8s.io/controller-modify-secret-name", "csi.storage.k8s.io/controller-modify-secret-namespace",
		},
	}
}

const (
	defaultName      = "csi.storage.k8s.io/secret-name"
	defaultNamespace = "csi.storage.k8s.io/secret-namespace"
)

func TestRoles(t *testing.T) {
	var got []string
	for _, role := range secrets.Roles() {
		got = append(got, role.String())
	}
	want := []string{
		"provisioner", "controller-publish", "node-stage", "node-publish",
		"controller-expand", "node-expand", "controller-modify",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Roles() (-want +got):\n%s", diff)
	}
	for role, want := range map[secrets.Role]string{0: "default", 8: "role(8)", 255: "role(255)"} {
		if got := role.String(); got != want {
			t.Errorf("Role(%d).String() = %q, want %q", uint8(role), got, want)
		}
	}
}

func TestParameters(t *testing.T) {
	current, deprecated := []string{defaultName, defaultNamespace}, map[string]string{}
	for _, role := range secrets.Roles() {
		keys := roleKeys()[role]
		current = append(current, keys[:2]...)
		for i, alias := range keys[2:] {
			deprecated[alias] = keys[i]
		}
	}
	if diff := cmp.Diff(current, secrets.Parameters()); diff != "" {
		t.Errorf("Parameters() (-want +got):\n%s", diff)
	}
	for _, key := range current {
		if !secrets.IsParameter(key) {
			t.Errorf("IsParameter(%q) = false", key)
		}
		if got, ok := secrets.Replacement(key); ok {
			t.Errorf("Replacement(%q) = %q, but it is the current key", key, got)
		}
	}
	for alias, want := range deprecated {
		if secrets.IsParameter(alias) {
			t.Errorf("IsParameter(%q) = true, but aliases must reach the driver", alias)
		}
		if got, ok := secrets.Replacement(alias); !ok || got != want {
			t.Errorf("Replacement(%q) = %q, %t; want %q", alias, got, ok, want)
		}
	}
	for _, other := range []string{
		"", "fstype", "csi.storage.k8s.io/fstype", "csi.storage.k8s.io/", "csiControllerExpandSecretName",
		"csi.storage.k8s.io/pvc/name", strings.ToUpper(defaultName),
	} {
		if _, deprecated := secrets.Replacement(other); deprecated || secrets.IsParameter(other) {
			t.Errorf("%q is taken for a parameter of this package", other)
		}
	}
}

// Callers may not change the table through what they are given.
func TestParametersAreCopies(t *testing.T) {
	secrets.Parameters()[0] = "changed"
	secrets.Roles()[0] = 0
	if slices.Contains(secrets.Parameters(), "changed") || secrets.Roles()[0] != secrets.Provisioner {
		t.Error("a caller can change the table")
	}
}
