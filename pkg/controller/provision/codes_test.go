package provision

import (
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/attempt"
)

// What follows a failed CreateVolume.
const (
	repeats     = "the same request again"
	asksAgain   = "asked for again, with a changed class, too; and removed without a claim"
	endsInRetry = "no volume; again after a back-off"
	endsInRest  = "no volume; again after a long time"
	reschedules = "no volume; another node"
)

// afterFailure returns what must follow a code. Open tells that an earlier call may have
// made the volume, and local that the request is for the place of a selected node.
func afterFailure(code codes.Code, open, local bool) string {
	switch code {
	case codes.Canceled, codes.DeadlineExceeded, codes.Unavailable, codes.Aborted:
		return repeats
	case codes.Unknown, codes.Internal, codes.DataLoss:
		return asksAgain
	case codes.InvalidArgument:
		return endsInRest
	case codes.ResourceExhausted:
		switch {
		case local && open:
			return repeats
		case local:
			return reschedules
		case open:
			return asksAgain
		}
	case codes.Unauthenticated, codes.PermissionDenied, codes.NotFound, codes.FailedPrecondition:
		if open {
			return asksAgain
		}
	}
	return endsInRetry
}

// TestEveryCodeInEverySituation: what follows depends on what was known before, and on
// the topology for ResourceExhausted only, where another node may have what is needed.
func TestEveryCodeInEverySituation(t *testing.T) {
	for _, topology := range []bool{false, true} {
		for _, node := range []string{"", "n1"} {
			for _, before := range []codes.Code{codes.OK, codes.DeadlineExceeded, codes.Internal} {
				for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
					t.Run(fmt.Sprintf("%s after %s, topology %t, node %q", code, before, topology, node), func(t *testing.T) {
						w := newWorld(t)
						w.c.config.Driver.Capabilities.Topology = topology
						if node != "" {
							w.setClaim(selectNode(node))
						}
						if before != codes.OK {
							w.driver.answers = []answer{failsWith(before)}
							w.fails()
						}
						w.driver.answers = []answer{failsWith(code)}
						result, err := w.reconcile()
						if got, want := followed(w, result, err), afterFailure(code, before != codes.OK, topology && node != ""); got != want {
							t.Errorf("followed %q, want %q (%+v, %v)", got, want, result, err)
						}
					})
				}
			}
		}
	}
}

func followed(w *world, result controller.Result, err error) string {
	switch phase := w.state().Phase; {
	case phase == attempt.Uncertain, phase == attempt.Full:
		return repeats
	case phase.Open():
		return asksAgain
	case len(w.rescheduled) > 0:
		return reschedules
	case result.RequeueAfter == infeasible && controller.IsTerminal(err):
		return endsInRest
	case err != nil && !controller.IsTerminal(err):
		return endsInRetry
	}
	return "nothing"
}
