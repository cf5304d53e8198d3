package suite

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/stage"
)

// faultyDriver is a scene whose driver can be told by the name of the claim what
// to do wrong.
func faultyDriver(t *testing.T, sidecarFlags ...string) (*scene, *stage.Sidecar) {
	t.Helper()
	s := newScene(t)
	return s, s.sidecar(append([]string{soon, "--extra-create-metadata"}, sidecarFlags...)...)
}

// forClaim matches the CreateVolume calls for a claim that need not exist yet.
func forClaim(name string) control.Match {
	return control.Match{Method: "CreateVolume", Parameters: map[string]string{reservedPrefix + "pvc/name": name}}
}

// badAnswer is a way to answer CreateVolume that makes no sense.
type badAnswer struct {
	name string
	rule control.Rule
	says []string
	// named tells that the answer names a volume, which can be deleted.
	named bool
}

func badAnswers() []badAnswer {
	const mib = 1 << 20
	faulty := []string{"CreateVolume", "without a volume or its volume_id", "fault of the driver"}
	tooLong := []string{"volume_context must be shorter", "deleted again"}
	return []badAnswer{
		{"no-volume", control.Rule{Response: control.NoVolume()}, faulty, false},
		{"no-volume-id", control.Rule{Response: []byte(`{"volume":{"volumeId":null}}`)}, faulty, false},
		{"too-small", control.Rule{CapacityDelta: -1}, []string{fmt.Sprint(1<<30 - 1), fmt.Sprint(1 << 30), "deleted again"}, true},
		// The API server takes it, but not the PersistentVolume.
		{"invalid-topology", control.Rule{Response: []byte(`{"volume":{"accessibleTopology":[{"segments":{"no key!":"x"}}]}}`)},
			[]string{"PersistentVolume", "nodeAffinity", "no key!"}, true},
		{"4mib", control.Rule{PadBytes: 4 * mib}, tooLong, true},
		// Short enough for the API server, and too long for etcd.
		{"2mib", control.Rule{PadBytes: 2 * mib}, tooLong, true},
	}
}

// TestBadAnswer: an answer that makes no sense is reported, what it leaves is
// deleted, and the claim gets its volume when the driver has come to its senses.
func TestBadAnswer(t *testing.T) {
	t.Parallel()
	s, _ := faultyDriver(t)
	content := map[string]string{"password": password}
	s.secret(s.id, "secret", content)
	class := s.class("class", s.provisionerSecret("secret"))
	for _, bad := range badAnswers() {
		t.Run(bad.name, func(t *testing.T) {
			t.Parallel()
			s := s.in(t)
			bad.rule.Match = forClaim(bad.name)
			fix := s.rule(bad.rule)
			claim := s.claim(bad.name, class)
			t.Log(s.warnings(2, claim.Name, bad.says...))
			fix()
			s.boundToOne(claim)
			t.Logf("%d volumes made, %d calls to delete them", len(s.callsFor(claim, "CreateVolume")), len(s.callsFor(claim, "DeleteVolume")))
			if bad.named {
				s.sentSecrets(s.callsFor(claim, "DeleteVolume")[0], content)
			}

			bad.rule.Match = forClaim(bad.name + "-deleted")
			fix = s.rule(bad.rule)
			claim = s.claim(bad.name+"-deleted", class)
			s.warning(claim.Name, bad.says...)
			s.deleteClaim(claim.Name)
			s.claimGone(claim.Name)
			fix()
			s.nothingLeft(claim)
			s.keepsSecretsInEvents()
		})
	}
}

// TestLongError: a driver's message of 4 MiB is cut short for the claim, and no
// obstacle.
func TestLongError(t *testing.T) {
	t.Parallel()
	s, sidecar := faultyDriver(t)
	s.rule(control.Rule{Match: forClaim("claim"), Count: 2, Code: codes.Internal, Message: "the array says", PadBytes: 4 << 20})
	claim := s.claim("claim", s.class("class", nil))
	message := s.warning(claim.Name, "Internal", "the array says")
	s.boundToOne(claim)
	t.Logf("the event's message is of %d bytes, the sidecar's log of %d", len(message), len(sidecar.Log()))
	if longest := longestLine(sidecar.Log()); longest > 64<<10 {
		t.Errorf("an entry in the sidecar's log is of %d bytes", longest)
	}
}

func longestLine(text string) int {
	longest := 0
	for line := range strings.Lines(text) {
		longest = max(longest, len(line))
	}
	return longest
}

// TestNoAnswer: a call that the driver never answers is repeated exactly, until
// the driver recovers.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	s, _ := faultyDriver(t, "--timeout=500ms")
	class := s.class("class", map[string]string{"colour": "red"})
	recover := s.rule(control.Rule{Match: forClaim("patient"), Hang: true})
	gone := s.rule(control.Rule{Match: forClaim("impatient"), Hang: true})
	patient, impatient := s.claim("patient", class), s.claim("impatient", class)

	t.Log(s.warning(patient.Name, "DeadlineExceeded", "not answered within 500ms", "--timeout", "repeated"))
	// What the class says now does not count: the first request may have been
	// carried out.
	s.replaceClass("class", map[string]string{"colour": "blue"})
	s.until("the call was made five times", func() (bool, error) {
		return len(s.callsFor(patient, "CreateVolume")) >= 5, nil
	})
	s.deleteClaim(impatient.Name)
	s.claimGone(impatient.Name)
	recovered := time.Now()
	recover()
	gone()
	s.boundToOne(patient)
	t.Logf("bound %s after the driver recovered", time.Since(recovered))
	calls := s.callsFor(patient, "CreateVolume")
	for _, call := range calls[1:] {
		if !bytes.Equal(call.Request, calls[0].Request) {
			t.Errorf("the request was repeated as\n%s\nand began as\n%s", call.Request, calls[0].Request)
		}
	}
	s.nothingLeft(impatient)
}
