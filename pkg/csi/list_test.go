package csi_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
)

// pages is a connection to a driver that answers ListVolumes as a test says, and
// notes the requests.
type pages struct {
	grpc.ClientConnInterface
	capabilities []csipb.ControllerServiceCapability_RPC_Type
	capable      error
	answer       func(n int, request *csipb.ListVolumesRequest) (*csipb.ListVolumesResponse, error)
	requests     []*csipb.ListVolumesRequest
	unbounded    bool // a call came without a deadline
}

func (p *pages) Invoke(ctx context.Context, method string, request, response any, _ ...grpc.CallOption) error {
	if _, bounded := ctx.Deadline(); !bounded {
		p.unbounded = true
	}
	if strings.HasSuffix(method, "/ControllerGetCapabilities") {
		into := response.(*csipb.ControllerGetCapabilitiesResponse)
		for _, kind := range p.capabilities {
			into.Capabilities = append(into.Capabilities, &csipb.ControllerServiceCapability{
				Type: &csipb.ControllerServiceCapability_Rpc{Rpc: &csipb.ControllerServiceCapability_RPC{Type: kind}},
			})
		}
		return p.capable
	}
	asked := request.(*csipb.ListVolumesRequest)
	p.requests = append(p.requests, asked)
	page, err := p.answer(len(p.requests), asked)
	if err != nil {
		return err
	}
	into := response.(*csipb.ListVolumesResponse)
	into.Entries, into.NextToken = page.Entries, page.NextToken
	return nil
}

func newPages(answer func(n int, request *csipb.ListVolumesRequest) (*csipb.ListVolumesResponse, error)) *pages {
	return &pages{
		capabilities: []csipb.ControllerServiceCapability_RPC_Type{csipb.ControllerServiceCapability_RPC_LIST_VOLUMES},
		answer:       answer,
	}
}

func page(next string, handles ...string) *csipb.ListVolumesResponse {
	response := &csipb.ListVolumesResponse{NextToken: next}
	for _, handle := range handles {
		response.Entries = append(response.Entries, &csipb.ListVolumesResponse_Entry{Volume: &csipb.Volume{VolumeId: handle}})
	}
	return response
}

// list lists with pages of two.
func list(t *testing.T, p *pages) ([]string, error) {
	t.Helper()
	lister, err := csi.NewLister(t.Context(), p, 2, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	volumes, err := lister.List(t.Context())
	var handles []string
	for _, volume := range volumes {
		handles = append(handles, volume.GetVolumeId())
	}
	if p.unbounded {
		t.Error("a call has no deadline")
	}
	return handles, err
}

func TestListGoesThroughThePages(t *testing.T) {
	p := newPages(func(_ int, request *csipb.ListVolumesRequest) (*csipb.ListVolumesResponse, error) {
		// b is listed twice, as volumes went meanwhile; an empty page is no end.
		return map[string]*csipb.ListVolumesResponse{
			"":      page("two", "a", "b"),
			"two":   page("three"),
			"three": page("four", "b", "c"),
			"four":  page("", "d"),
		}[request.GetStartingToken()], nil
	})
	got, err := list(t, p)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "b", "c", "d"}, got); diff != "" {
		t.Errorf("volumes (-want +got):\n%s", diff)
	}
	for _, request := range p.requests {
		if request.GetMaxEntries() != 2 {
			t.Errorf("max_entries is %d, want 2", request.GetMaxEntries())
		}
	}
}

func TestListBeginsAgainWhenATokenHasEnded(t *testing.T) {
	p := newPages(func(n int, request *csipb.ListVolumesRequest) (*csipb.ListVolumesResponse, error) {
		switch {
		case n == 1:
			return page("old", "gone", "a"), nil
		case request.GetStartingToken() == "old":
			return nil, status.Error(codes.Aborted, "the list has changed")
		case request.GetStartingToken() == "":
			return page("new", "a", "b"), nil
		}
		return page("", "c"), nil
	})
	got, err := list(t, p)
	if err != nil {
		t.Fatal(err)
	}
	// What the first try has found is not in the list that came in the end.
	if diff := cmp.Diff([]string{"a", "b", "c"}, got); diff != "" {
		t.Errorf("volumes (-want +got):\n%s", diff)
	}
}

func TestListGivesUp(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(n int, request *csipb.ListVolumesRequest) (*csipb.ListVolumesResponse, error)
		calls  int
		says   string
	}{
		"when tokens end again and again": {func(_ int, request *csipb.ListVolumesRequest) (*csipb.ListVolumesResponse, error) {
			if request.GetStartingToken() == "" {
				return page("token", "a"), nil
			}
			return nil, status.Error(codes.Aborted, "no such token")
		}, 10, "begun 5 times"},
		"when the first page is aborted": {func(int, *csipb.ListVolumesRequest) (*csipb.ListVolumesResponse, error) {
			return nil, status.Error(codes.Aborted, "busy")
		}, 1, "Aborted: busy"},
		"when the driver fails": {func(int, *csipb.ListVolumesRequest) (*csipb.ListVolumesResponse, error) {
			return nil, status.Error(codes.Internal, "on fire")
		}, 1, "Internal: on fire"},
		"when the driver is slow": {func(int, *csipb.ListVolumesRequest) (*csipb.ListVolumesResponse, error) {
			return nil, status.Error(codes.DeadlineExceeded, "")
		}, 1, "within 1m0s (--timeout)"},
		"when a token comes twice": {func(n int, _ *csipb.ListVolumesRequest) (*csipb.ListVolumesResponse, error) {
			return page("token"+strconv.Itoa(n%2), fmt.Sprint("volume", n)), nil
		}, 3, `next_token "token1" twice`},
		"when nothing new ever comes": {func(n int, _ *csipb.ListVolumesRequest) (*csipb.ListVolumesResponse, error) {
			return page(strconv.Itoa(n), "a"), nil
		}, 1001, "the last 1000 pages"},
		"when a volume has no handle": {func(int, *csipb.ListVolumesRequest) (*csipb.ListVolumesResponse, error) {
			return page("", "a", ""), nil
		}, 1, "without volume_id"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPages(c.answer)
			got, err := list(t, p)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("the error is %v, want one that says %q; listed %q", err, c.says, got)
			}
			if len(p.requests) != c.calls {
				t.Errorf("ListVolumes was called %d times, want %d", len(p.requests), c.calls)
			}
		})
	}
}

func TestNewListerAsksForTheCapability(t *testing.T) {
	for name, c := range map[string]struct {
		driver *pages
		want   error
	}{
		"with it": {newPages(nil), nil},
		"without it": {&pages{capabilities: []csipb.ControllerServiceCapability_RPC_Type{
			csipb.ControllerServiceCapability_RPC_CREATE_DELETE_VOLUME,
		}}, csi.ErrCannotList},
		"without a controller service": {&pages{capable: status.Error(codes.Unimplemented, "unknown service")}, csi.ErrCannotList},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := csi.NewLister(t.Context(), c.driver, 0, time.Minute); !errors.Is(err, c.want) {
				t.Errorf("the error is %v, want %v", err, c.want)
			}
		})
	}
	_, err := csi.NewLister(t.Context(), &pages{capable: status.Error(codes.Internal, "on fire")}, 0, time.Minute)
	if err == nil || errors.Is(err, csi.ErrCannotList) || !strings.Contains(err.Error(), "Internal: on fire") {
		t.Errorf("the error of a driver that fails is %v", err)
	}
}
