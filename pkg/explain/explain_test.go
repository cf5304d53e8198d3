package explain_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csi-provisioner/csi-provisioner/pkg/explain"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/capability"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
)

var update = flag.Bool("update", false, "write the explanations into testdata instead of comparing them")

func settings(t *testing.T) explain.Settings {
	t.Helper()
	all, err := capability.AllBut([]string{"SINGLE_NODE_MULTI_WRITER"})
	if err != nil {
		t.Fatal(err)
	}
	return explain.Settings{Capabilities: all, Options: provision.Options{
		VolumeNamePrefix: "pvc", VolumeNameUUIDLength: -1, Topology: true, ImmediateTopology: true, VolumeAttributesClass: true, PreventVolumeModeConversion: true,
	}}
}

// explained returns the explanations of manifests as they are written.
func explained(t *testing.T, manifests string, s explain.Settings) string {
	t.Helper()
	objects := &explain.Objects{}
	if err := objects.Read("manifests.yaml", strings.NewReader(manifests)); err != nil {
		t.Fatal(err)
	}
	all, err := explain.Explain(t.Context(), objects, s)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := explain.Write(&text, all); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// TestGolden explains the claims of testdata/*.yaml; -update writes what comes of
// them beside.
func TestGolden(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join("testdata", "*.yaml"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("testdata holds no cases: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".yaml"), func(t *testing.T) {
			manifests, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got := explained(t, string(manifests), settings(t))
			golden := strings.TrimSuffix(path, ".yaml") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("explained otherwise (-want +got; -update writes it):\n%s", diff)
			}
		})
	}
}

func TestSettings(t *testing.T) {
	manifests, err := os.ReadFile(filepath.Join("testdata", "late.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	late := string(manifests)
	for name, test := range map[string]struct {
		change func(*explain.Settings)
		want   string
	}{
		"a node":              {func(s *explain.Settings) { s.Node = "n2" }, "here to node n2"},
		"a node that is none": {func(s *explain.Settings) { s.Node = "n9" }, `selected node "n9" has no CSINode object`},
		"another driver":      {func(s *explain.Settings) { s.Driver = "other.example" }, "outcome: nothing is done"},
		"no capability":       {func(s *explain.Settings) { s.Capabilities.CreateDelete = false }, "CREATE_DELETE_VOLUME"},
		"another prefix":      {func(s *explain.Settings) { s.Options.VolumeNamePrefix = "vol" }, "name: vol-0c8f2b5e"},
	} {
		s := settings(t)
		test.change(&s)
		if got := explained(t, late, s); !strings.Contains(got, test.want) {
			t.Errorf("%s: the explanation is without %q:\n%s", name, test.want, got)
		}
	}
}

func TestManifestsThatAreWrong(t *testing.T) {
	for manifests, want := range map[string]string{
		"kind: [": "reading manifests.yaml: ",
		"{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a}, spec: {storageClasName: x}}":                                        `reading manifests.yaml: PersistentVolumeClaim "a": `,
		"{apiVersion: v1, kind: List, items: [{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: b}, parameters: {a: [1]}}]}": `reading manifests.yaml: StorageClass "b": `,
	} {
		if err := (&explain.Objects{}).Read("manifests.yaml", strings.NewReader(manifests)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("reading %s: the error is %v, want %q", manifests, err, want)
		}
	}
}
