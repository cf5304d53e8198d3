package suite

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/yaml"
)

// TestManifests: what a user applies is accepted by the API server, to the last
// field, and by the program.
func TestManifests(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob(filepath.Join(shared.Manifests(), "*.yaml"))
	if err != nil || len(paths) < 2 {
		t.Fatalf("the manifests are %q, %v", paths, err)
	}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := shared.Validate(t.Context(), string(content)); err != nil {
			t.Errorf("%s: %v", filepath.Base(path), err)
		}
	}
	// A check that lets everything pass would be none.
	broken := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndatta: {a: b}"
	if err := shared.Validate(t.Context(), broken); err == nil || !strings.Contains(err.Error(), "datta") {
		t.Errorf("an unknown field is answered with %v", err)
	}
}

// TestDeployment: the program takes the arguments that the Deployment gives it.
func TestDeployment(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(filepath.Join(shared.Manifests(), "deployment.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var deployment appsv1.Deployment
	if err := yaml.Unmarshal(content, &deployment); err != nil {
		t.Fatal(err)
	}
	container := deployment.Spec.Template.Spec.Containers[0]
	// With --version the program ends after it has read its arguments.
	command := exec.Command(shared.Program("csi-provisioner"), append(slices.Clone(container.Args), "--version")...)
	if output, err := command.CombinedOutput(); err != nil || !strings.HasPrefix(string(output), command.Path+" ") {
		t.Errorf("%q: %v, %q", container.Args, err, output)
	}
	for _, probe := range []string{container.LivenessProbe.HTTPGet.Path, container.ReadinessProbe.HTTPGet.Path} {
		if !slices.Contains(healthPaths(), probe) {
			t.Errorf("the probe asks for %s, which is not served", probe)
		}
	}
}
