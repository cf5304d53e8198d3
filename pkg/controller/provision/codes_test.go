package provision

import (
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
)

// What follows a failed CreateVolume.
const (
	repeats     = "the same request again"
	asksAgain   = "asked for again, with a mended class, and undone without a claim"
	endsInRetry = "no volume; again after a back-off"
	endsInRest  = "no volume; again after a long time"
	reschedules = "no volume; another node"
)

// afterFailure returns what must follow a code; local tells that the request is for
// the place of a selected node.
func afterFailure(code codes.Code, local bool) string {
	switch code {
	case codes.Canceled, codes.DeadlineExceeded, codes.Unavailable, codes.Aborted:
		return repeats
	case codes.Unknown, codes.Internal, codes.DataLoss:
		return asksAgain
	case codes.InvalidArgument:
		return endsInRest
	case codes.ResourceExhausted:
		if local {
			return reschedules
		}
	}
	return endsInRetry
}

// TestEveryCodeInEverySituation: what follows does not depend on the topology but
// for ResourceExhausted, where another node may have what is needed.
func TestEveryCodeInEverySituation(t *testing.T) {
	for _, topology := range []bool{false, true} {
		for _, node := range []string{"", "n1"} {
			for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
				name := fmt.Sprintf("%s, topology %t, node %q", code, topology, node)
				t.Run(name, func(t *testing.T) {
					w := newWorld(t)
					w.c.config.Driver.Capabilities.Topology = topology
					if node != "" {
						w.setClaim(selectNode(node))
					}
					w.driver.answers = []answer{failsWith(code)}
					result, err := w.reconcile()
					if got, want := followed(w, result, err), afterFailure(code, topology && node != ""); got != want {
						t.Errorf("followed %q, want %q (%+v, %v)", got, want, result, err)
					}
				})
			}
		}
	}
}

func followed(w *world, result controller.Result, err error) string {
	current := w.c.attempts.get(claimUID)
	switch {
	case current != nil && !current.ambiguous:
		return repeats
	case current != nil:
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
