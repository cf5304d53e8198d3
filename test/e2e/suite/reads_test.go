package suite

import (
	"fmt"
	"testing"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/figures"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/stage"
)

// TestBacklogIsNotRead: a process that finds claims waiting makes their volumes without
// reading any of them at the API server, alone and with a lease, as its caches are as new as
// the lease.
func TestBacklogIsNotRead(t *testing.T) {
	t.Parallel()
	for name, flags := range map[string][]string{"alone": nil, "with a lease": {"--leader-election"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			class := s.class("sc", nil)
			const claims = 60
			for n := range claims {
				s.claim(fmt.Sprintf("claim-%d", n), class)
			}
			sidecar := s.sidecar(flags...)
			for n := range claims {
				s.bound(fmt.Sprintf("claim-%d", n))
			}
			// Lists, watches and what the start needs are fewer.
			if reads := s.requestsBy(sidecar, "GET"); reads == 0 || reads >= claims {
				t.Errorf("%d GET requests for %d claims", reads, claims)
			}
			if have := s.volumes(); len(have) != claims {
				t.Errorf("the driver has %d volumes for %d claims", len(have), claims)
			}
		})
	}
}

// requestsBy returns how many requests of a method a sidecar has made to the API server.
func (s *scene) requestsBy(sidecar *stage.Sidecar, method string) (total int) {
	s.Helper()
	_, text, err := sidecar.Get("/metrics")
	s.must(err)
	series, err := figures.Metric(text, "rest_client_requests_total")
	s.must(err)
	for _, one := range series {
		if one.Labels["method"] == method {
			total += int(one.Value)
		}
	}
	return total
}
