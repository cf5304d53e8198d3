package suite

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
)

// allCodes are those of gRPC that are errors.
func allCodes() []codes.Code {
	var all []codes.Code
	for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
		all = append(all, code)
	}
	return all
}

// doubtfulCodes leave open whether there is a volume.
func doubtfulCodes() []codes.Code {
	return []codes.Code{
		codes.Canceled, codes.Unknown, codes.DeadlineExceeded, codes.Aborted,
		codes.Internal, codes.Unavailable, codes.DataLoss,
	}
}

// TestEveryCode: with whatever code CreateVolume fails, and whether it has done
// its work or not, in the end the claim has one volume.
func TestEveryCode(t *testing.T) {
	t.Parallel()
	s, _ := faultyDriver(t)
	class := s.class("class", nil)
	const failures = 2
	for _, when := range []control.When{control.Before, control.After} {
		for _, code := range allCodes() {
			name := identifier(fmt.Sprintf("%s-%s", code, when))
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := s.in(t)
				s.rule(control.Rule{Match: forClaim(name), When: when, Code: code, Message: "as told", Count: failures})
				claim := s.claim(name, class)
				s.warning(name, `CSI driver "`+s.driver.Name+`"`, code.String()+": as told")
				s.boundToOne(claim)
				if calls := s.callsFor(claim, "CreateVolume"); len(calls) != failures+1 {
					t.Errorf("CreateVolume was called %d times, want %d", len(calls), failures+1)
				}
			})
		}
	}
}

// TestClaimDeletedInDoubt: the claim goes while nobody can say whether its volume
// was made, and so does its class; in the end the volume is gone.
func TestClaimDeletedInDoubt(t *testing.T) {
	t.Parallel()
	s, _ := faultyDriver(t)
	s.secret(s.id, "secret", map[string]string{"password": password})
	for _, code := range doubtfulCodes() {
		name := identifier(code.String())
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := s.in(t)
			recover := s.rule(control.Rule{Match: forClaim(name), When: control.After, Code: code})
			claim := s.claim(name, s.class(name, s.provisionerSecret("secret")))
			s.warning(name, code.String())
			if have := s.volumesOf(claim); len(have) != 1 {
				t.Fatalf("the driver has %v: there is nothing to delete", have)
			}
			s.must(shared.Client.StorageV1().StorageClasses().Delete(s.ctx, s.id+"-"+name, metav1.DeleteOptions{}))
			s.deleteClaim(name)
			s.claimGone(name)
			recover()
			s.nothingLeft(claim)
			deletes := s.callsFor(claim, "DeleteVolume")
			s.sentSecrets(deletes[0], map[string]string{"password": password})
			if _, err := shared.Client.CoreV1().PersistentVolumes().Get(s.ctx, "pvc-"+string(claim.UID), metav1.GetOptions{}); err == nil {
				t.Error("there is a PersistentVolume")
			}
		})
	}
}

// TestSecretGoneInDoubt: the Secret goes together with the claim, as it does with
// a whole namespace.
func TestSecretGoneInDoubt(t *testing.T) {
	t.Parallel()
	s, _ := faultyDriver(t)
	s.secret(s.id, "secret", map[string]string{"password": password})
	unknown := s.rule(control.Rule{Match: forClaim("claim"), When: control.After, Code: codes.DeadlineExceeded})
	claim := s.claim("claim", s.class("class", s.provisionerSecret("secret")))
	s.warning(claim.Name, "DeadlineExceeded")
	s.must(shared.Client.CoreV1().Secrets(s.id).Delete(s.ctx, "secret", metav1.DeleteOptions{}))
	s.deleteClaim(claim.Name)
	s.claimGone(claim.Name)
	// A driver that wants the password says nothing about the volume with that.
	denied := s.rule(control.Rule{Match: forClaim("claim"), Code: codes.Unauthenticated})
	unknown()
	s.until("the driver was asked without the Secret", func() (bool, error) {
		calls := s.callsFor(claim, "CreateVolume")
		last := calls[len(calls)-1]
		return last.Code == codes.Unauthenticated && len(last.Secrets) == 0, nil
	})
	denied()
	s.nothingLeft(claim)
}

// TestClassMendedInDoubt: the class is replaced while nobody can say whether the
// volume was made. A pending call must be repeated as it was; after one that is
// over, what the class says now counts. Either way there is one volume.
func TestClassMendedInDoubt(t *testing.T) {
	t.Parallel()
	s, _ := faultyDriver(t)
	for _, when := range []control.When{control.Before, control.After} {
		for _, code := range doubtfulCodes() {
			name := identifier(fmt.Sprintf("%s-%s", code, when))
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := s.in(t)
				recover := s.rule(control.Rule{Match: forClaim(name), When: when, Code: code})
				s.class(name, map[string]string{"colour": "red"})
				claim := s.claim(name, s.id+"-"+name)
				s.warning(name, code.String())
				s.replaceClass(name, map[string]string{"colour": "blue"})
				recover()
				s.boundToOne(claim)
				t.Logf("the volume is %s", s.volumesOf(claim)[0].Parameters["colour"])
			})
		}
	}
}

// TestClaimDeletedAfterMend: a volume that an earlier class may have made is not
// forgotten over what the driver says to the request by a later one.
func TestClaimDeletedAfterMend(t *testing.T) {
	t.Parallel()
	s, _ := faultyDriver(t)
	for _, code := range []codes.Code{codes.AlreadyExists, codes.InvalidArgument, codes.OutOfRange} {
		name := identifier(code.String())
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := s.in(t)
			match := func(colour string) control.Match {
				m := forClaim(name)
				m.Parameters["colour"] = colour
				return m
			}
			doubtful := s.rule(control.Rule{Match: match("red"), When: control.After, Code: codes.Internal})
			s.rule(control.Rule{Match: match("blue"), Code: code, Message: "not in blue"})
			s.class(name, map[string]string{"colour": "red"})
			claim := s.claim(name, s.id+"-"+name)
			s.warning(name, "Internal")
			s.replaceClass(name, map[string]string{"colour": "blue"})
			s.warning(name, "not in blue")
			s.deleteClaim(name)
			s.claimGone(name)
			doubtful()
			s.nothingLeft(claim)
		})
	}
}

// TestInvalidArgument: a request that the driver calls invalid is not repeated
// soon, but at once when the class has changed.
func TestInvalidArgument(t *testing.T) {
	t.Parallel()
	s, _ := faultyDriver(t, "--retry-interval-max=5m")
	s.class("invalid", map[string]string{"quality": "golden"})
	s.rule(control.Rule{
		Match:   control.Match{Method: "CreateVolume", Parameters: map[string]string{"quality": "golden"}},
		Code:    codes.InvalidArgument,
		Message: "there is no quality golden",
	})
	s.rule(control.Rule{Match: forClaim("other"), Code: codes.OutOfRange, Count: 4})
	claim := s.claim("invalid", s.id+"-invalid")
	t.Log(s.warning(claim.Name, "InvalidArgument", "there is no quality golden", "tried again in 5m", "class"))
	// In the time of four retries of another claim there is none of this.
	s.boundToOne(s.claim("other", s.class("valid", nil)))
	if calls := s.callsFor(claim, "CreateVolume"); len(calls) != 1 {
		t.Errorf("CreateVolume was called %d times, want once", len(calls))
	}
	s.replaceClass("invalid", map[string]string{"quality": "silver"})
	replaced := time.Now()
	s.boundToOne(claim)
	t.Logf("bound %s after the class was replaced", time.Since(replaced))
}

// TestExhaustedNode: where the selected node has no room for the volume, another
// one is asked for.
func TestExhaustedNode(t *testing.T) {
	t.Parallel()
	s, _ := faultyDriver(t)
	class := s.class("class", nil, "volumeBindingMode: WaitForFirstConsumer")
	s.rule(control.Rule{Match: forClaim("claim"), Code: codes.ResourceExhausted, Message: "the rack is full", Count: 1})
	claim := s.claim("claim", class)
	selections := s.selections(claim)
	s.pod("pod", claim)
	t.Log(s.warning(claim.Name, "ResourceExhausted", "the rack is full", "another node"))
	s.boundToOne(claim)
	want := []string{"", shared.Cluster.NodeName(), "", shared.Cluster.NodeName()}
	if got := selections(); strings.Join(got, ",") != strings.Join(want, ",") {
		t.Errorf("the claim's selected nodes were %q, want %q", got, want)
	}
}

// selections follows a claim's selected node; the function that it returns ends
// that when the claim is bound, and returns the different ones in order.
func (s *scene) selections(claim *corev1.PersistentVolumeClaim) func() []string {
	s.Helper()
	watcher, err := shared.Client.CoreV1().PersistentVolumeClaims(s.id).Watch(s.ctx, metav1.ListOptions{
		FieldSelector: "metadata.name=" + claim.Name, ResourceVersion: claim.ResourceVersion,
	})
	s.must(err)
	s.Cleanup(watcher.Stop)
	return func() []string {
		nodes := []string{""}
		for event := range watcher.ResultChan() {
			now, ok := event.Object.(*corev1.PersistentVolumeClaim)
			if !ok || event.Type != watch.Modified {
				s.Fatalf("watching the claim: %v", event)
			}
			if node := now.Annotations["volume.kubernetes.io/selected-node"]; node != nodes[len(nodes)-1] {
				nodes = append(nodes, node)
			}
			if now.Status.Phase == corev1.ClaimBound {
				break
			}
		}
		return nodes
	}
}

// TestErrorRepeatsSecret: a driver that says in its errors what it was given
// does not make it public.
func TestErrorRepeatsSecret(t *testing.T) {
	t.Parallel()
	s, _ := faultyDriver(t)
	for name, value := range map[string]string{
		"plain": password,
		// As kubectl makes it from a file; drivers drop the newline.
		"from-a-file": password + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := s.in(t)
			s.secret(s.id, name, map[string]string{"username": "admin", "password": value})
			echo := "logging in as root/" + password + " at 10.0.0.1 failed"
			s.rule(control.Rule{Match: forClaim(name), Code: codes.Unauthenticated, Message: echo, Count: 1})
			claim := s.claim(name, s.class(name, s.provisionerSecret(name)))
			s.rule(control.Rule{
				Match: control.Match{Method: "DeleteVolume", Volume: string(claim.UID)},
				Code:  codes.Internal, Message: echo, Count: 1,
			})
			t.Log(s.warning(name, "logging in as", "at 10.0.0.1 failed"))
			volume := s.boundToOne(claim)
			s.deleteClaim(name)
			t.Log(s.event(metav1.NamespaceDefault, volume.Name, reasonFailedDelete, "at 10.0.0.1 failed"))
			s.volumeGone(volume.Name)
		})
	}
}
