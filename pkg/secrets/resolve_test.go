package secrets_test

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/secrets"
)

const (
	expandName      = "csi.storage.k8s.io/node-expand-secret-name"
	expandNamespace = "csi.storage.k8s.io/node-expand-secret-namespace"
	stageName       = "csi.storage.k8s.io/node-stage-secret-name"
	stageNamespace  = "csi.storage.k8s.io/node-stage-secret-namespace"
	oldStageName    = "csiNodeStageSecretName"
	oldStageNS      = "csiNodeStageSecretNamespace"
)

// volume is the one that the tests resolve for.
func volume() secrets.Volume {
	return secrets.Volume{
		PVName: "pvc-1234", ClaimNamespace: "team-a", ClaimName: "data",
		ClaimAnnotations: map[string]string{
			"example.com/key":   "from-annotation",
			"example.com/dot":   "a.b",
			"example.com/empty": "",
			"example.com/token": "${pvc.namespace}",
			"example.com/path":  "../etc",
			"example.com/upper": "Data",
			"example.com/big":   strings.Repeat("a", 256<<10),
			"KEY":               "key",
		},
	}
}

func TestResolveEachRole(t *testing.T) {
	want := &secrets.Ref{Namespace: "storage", Name: "a-secret"}
	for role, keys := range roleKeys() {
		for len(keys) > 0 {
			t.Run(role.String()+"/"+keys[0], func(t *testing.T) {
				parameters := map[string]string{keys[0]: "a-secret", keys[1]: "storage"}
				refs, err := secrets.ResolveAll(parameters, volume())
				if diff := cmp.Diff(secrets.Refs{role: want}, refs); diff != "" || err != nil {
					t.Errorf("ResolveAll, error %v (-want +got):\n%s", err, diff)
				}
				maps.Copy(parameters, map[string]string{defaultName: "spare", defaultNamespace: "spare"})
				for _, other := range secrets.Roles() {
					want := &secrets.Ref{Namespace: "spare", Name: "spare"}
					if other == role {
						want = &secrets.Ref{Namespace: "storage", Name: "a-secret"}
					}
					got, err := secrets.Resolve(other, parameters, volume())
					if diff := cmp.Diff(want, got); diff != "" || err != nil {
						t.Errorf("Resolve(%s) with defaults, error %v (-want +got):\n%s", other, err, diff)
					}
				}
			})
			keys = keys[2:]
		}
	}
}

func TestResolve(t *testing.T) {
	type parameters = map[string]string
	long := strings.Repeat("a", 63)
	for name, test := range map[string]struct {
		role       secrets.Role
		parameters parameters
		want       string // empty: no Secret
	}{
		"no parameters":   {secrets.NodeStage, nil, ""},
		"parameter empty": {secrets.NodeStage, parameters{}, ""},
		"of other roles": {
			secrets.NodeStage, parameters{expandName: "a", expandNamespace: "b", "fstype": "xfs"}, "",
		},
		"broken one of another role": {secrets.NodeStage, parameters{expandName: "${no}"}, ""},
		"plain":                      {secrets.NodeExpand, parameters{expandName: "name", expandNamespace: "ns"}, "ns/name"},
		"name with dots":             {secrets.NodeExpand, parameters{expandName: "a.b-c.d", expandNamespace: "ns"}, "ns/a.b-c.d"},
		"deprecated":                 {secrets.NodeStage, parameters{oldStageName: "old", oldStageNS: "ns"}, "ns/old"},
		"deprecated name only":       {secrets.NodeStage, parameters{oldStageName: "old", stageNamespace: "ns"}, "ns/old"},
		"deprecated namespace only":  {secrets.NodeStage, parameters{stageName: "new", oldStageNS: "ns"}, "ns/new"},
		"default":                    {secrets.NodeStage, parameters{defaultName: "d", defaultNamespace: "ns"}, "ns/d"},
		"own wins over default": {
			secrets.NodeExpand,
			parameters{expandName: "own", expandNamespace: "ns", defaultName: "d", defaultNamespace: "ns"}, "ns/own",
		},
		"own makes a broken default harmless": {
			secrets.NodeExpand, parameters{expandName: "own", expandNamespace: "ns", defaultName: "${no}"}, "ns/own",
		},
		"default by templates": {
			secrets.NodeExpand, parameters{defaultName: "${pvc.name}", defaultNamespace: "${pvc.namespace}"}, "team-a/data",
		},
		"every token of a namespace": {
			secrets.NodeExpand, parameters{expandName: "s", expandNamespace: "n-${pvc.namespace}-${pv.name}"},
			"n-team-a-pvc-1234/s",
		},
		"every token of a name": {
			secrets.NodeExpand, parameters{
				expandName:      "${pv.name}.${pvc.name}.${pvc.namespace}.${pvc.annotations['example.com/key']}",
				expandNamespace: "ns",
			}, "ns/pvc-1234.data.team-a.from-annotation",
		},
		"deprecated with templates": {
			secrets.NodeStage, parameters{oldStageName: "${pvc.name}", oldStageNS: "${pvc.namespace}"}, "team-a/data",
		},
		"token twice":         {secrets.NodeExpand, parameters{expandName: "${pvc.name}${pvc.name}", expandNamespace: "ns"}, "ns/datadata"},
		"annotation with dot": {secrets.NodeExpand, parameters{expandName: "${pvc.annotations['example.com/dot']}", expandNamespace: "ns"}, "ns/a.b"},
		"annotation with an empty value beside text": {
			secrets.NodeExpand, parameters{expandName: "a${pvc.annotations['example.com/empty']}b", expandNamespace: "ns"}, "ns/ab",
		},
		"annotation named KEY": {secrets.NodeExpand, parameters{expandName: "${pvc.annotations['KEY']}", expandNamespace: "ns"}, "ns/key"},
		"longest namespace":    {secrets.NodeExpand, parameters{expandName: "a", expandNamespace: long}, long + "/a"},
		"longest name": {
			secrets.NodeExpand, parameters{expandName: strings.Repeat("a", 253), expandNamespace: "ns"},
			"ns/" + strings.Repeat("a", 253),
		},
	} {
		t.Run(name, func(t *testing.T) {
			ref, err := secrets.Resolve(test.role, test.parameters, volume())
			if err != nil {
				t.Fatalf("unexpected error: %v", err)
			}
			got := ""
			if ref != nil {
				got = ref.String()
			}
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestResolveUnknownRole(t *testing.T) {
	parameters := map[string]string{defaultName: "d", defaultNamespace: "ns"}
	for _, role := range []secrets.Role{0, 8, 255} {
		if ref, err := secrets.Resolve(role, parameters, volume()); ref != nil || err == nil {
			t.Errorf("Resolve(Role(%d)) = %v, %v; want an error", uint8(role), ref, err)
		}
	}
}

func TestResolveAll(t *testing.T) {
	t.Run("none", func(t *testing.T) {
		refs, err := secrets.ResolveAll(nil, volume())
		if len(refs) != 0 || err != nil {
			t.Errorf("got %v, %v", refs, err)
		}
		if got := refs[secrets.NodeStage].CoreV1(); got != nil {
			t.Errorf("CoreV1 of a role without a Secret = %v", got)
		}
	})
	t.Run("some", func(t *testing.T) {
		refs, err := secrets.ResolveAll(map[string]string{
			expandName: "${pvc.name}", expandNamespace: "ns", oldStageName: "old", oldStageNS: "${pvc.namespace}",
		}, volume())
		want := secrets.Refs{
			secrets.NodeExpand: {Namespace: "ns", Name: "data"},
			secrets.NodeStage:  {Namespace: "team-a", Name: "old"},
		}
		if diff := cmp.Diff(want, refs); diff != "" || err != nil {
			t.Errorf("error %v (-want +got):\n%s", err, diff)
		}
		wantCore := &corev1.SecretReference{Namespace: "ns", Name: "data"}
		if diff := cmp.Diff(wantCore, refs[secrets.NodeExpand].CoreV1()); diff != "" {
			t.Errorf("CoreV1 (-want +got):\n%s", diff)
		}
	})
	t.Run("all errors, each once, in order", func(t *testing.T) {
		refs, err := secrets.ResolveAll(map[string]string{
			expandName: "${no}", expandNamespace: "ns", stageName: "alone", defaultName: "", defaultNamespace: "ns",
		}, volume())
		if refs != nil {
			t.Errorf("got %v beside an error", refs)
		}
		var first *secrets.Error
		if !errors.As(err, &first) || first.Parameter != defaultName {
			t.Errorf("first error is %v, want one of %s", first, defaultName)
		}
		var got []string
		for _, line := range strings.Split(err.Error(), "\n") {
			got = append(got, strings.Split(line, `"`)[1])
		}
		if diff := cmp.Diff([]string{defaultName, stageName, expandName}, got); diff != "" {
			t.Errorf("parameters (-want +got):\n%s", diff)
		}
	})
}
