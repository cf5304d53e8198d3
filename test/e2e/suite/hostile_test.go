package suite

import (
	"strings"
	"testing"
)

// longAnnotation is nearly as long as the API server takes them, of which
// Kubernetes needs some room for its own.
func longAnnotation() string { return strings.Repeat("x", 255<<10) }

// TestHostileAnnotation: what a user writes into an annotation is a name or
// part of one, whatever it looks like, and can do no harm.
func TestHostileAnnotation(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.sidecar(soon)
	// There it would be found by who took the value for a template.
	s.secret(s.id, s.id, map[string]string{"password": password})
	parameter := reservedPrefix + "provisioner-secret-name"
	parameters := map[string]string{
		parameter: "${pvc.annotations['" + teamAnnotation + "']}",
		reservedPrefix + "provisioner-secret-namespace": s.id,
	}
	class := s.class("class", parameters)
	for name, value := range map[string]string{
		"token":      "${pvc.namespace}",
		"annotation": "${pvc.annotations['" + teamAnnotation + "']}",
		"path":       "../" + s.id,
		"slash":      "kube-system/" + s.id,
		"lines":      "a\nb",
		"empty":      "",
		"long":       longAnnotation(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := s.in(t)
			claim := s.claim(name, class, annotated(teamAnnotation, value))
			t.Log(s.warnings(2, name, "StorageClass", parameter, "not a valid name", "it must be"))
			s.untouched(claim)
			s.changeClaim(name, annotated(teamAnnotation, s.id))
			s.boundToOne(claim)
		})
	}
}

// TestLongAnnotation: one that nothing refers to does not matter.
func TestLongAnnotation(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	sidecar := s.sidecar(soon)
	class := s.class("class", nil)
	claim := s.claim("claim", class, annotated(teamAnnotation, longAnnotation()))
	volume := s.boundToOne(claim)
	s.deleteClaim(claim.Name)
	s.volumeGone(volume.Name)
	if log := sidecar.Log(); len(log) > 200<<10 {
		t.Errorf("the sidecar's log is of %d bytes", len(log))
	}
}
