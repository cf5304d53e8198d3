package csi

import (
	"context"
	"errors"
	"fmt"
	"time"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// ErrCannotList says that the driver does not tell which volumes it has.
var ErrCannotList = errors.New("the CSI driver can't list its volumes: it does not report the controller capability LIST_VOLUMES")

const (
	// maxListStarts is how often a listing is begun before it is given up. A
	// driver whose tokens end with each change has them all end on a busy day.
	maxListStarts = 5
	// maxBarrenPages is the number of pages in a row that may bring nothing new.
	// Drivers that filter what their storage lists do return empty pages.
	maxBarrenPages = 1000
)

// Lister lists the volumes of a driver (CSI spec, ListVolumes).
type Lister struct {
	client  csipb.ControllerClient
	page    int32
	timeout time.Duration
}

// NewLister returns a lister that asks for so many volumes in a page, 0 for all
// at once; timeout bounds each call. The error wraps [ErrCannotList] for a driver
// without the capability. It is asked for here, and is no part of [Info]: the
// driver may gain or lose it without a sidecar having to start anew.
func NewLister(ctx context.Context, conn grpc.ClientConnInterface, page int32, timeout time.Duration) (*Lister, error) {
	l := &Lister{client: csipb.NewControllerClient(conn), page: page, timeout: timeout}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	response, err := l.client.ControllerGetCapabilities(ctx, &csipb.ControllerGetCapabilitiesRequest{})
	switch status.Code(err) {
	case codes.OK:
	case codes.Unimplemented: // it has no controller service
		return nil, ErrCannotList
	default:
		return nil, fmt.Errorf("asking the CSI driver for its capabilities (ControllerGetCapabilities): %w", Plain(err))
	}
	for _, c := range response.GetCapabilities() {
		if c.GetRpc().GetType() == csipb.ControllerServiceCapability_RPC_LIST_VOLUMES {
			return l, nil
		}
	}
	return nil, ErrCannotList
}

// List returns the volumes that the driver tells of, each once, in its order.
// Volumes that come or go meanwhile may or may not be among them, and a volume
// that exists all the time may be missing when others do (CSI spec, ListVolumes).
// A token that the driver no longer takes (ABORTED) has the listing begin again.
func (l *Lister) List(ctx context.Context) ([]*csipb.Volume, error) {
	for starts := 1; ; starts++ {
		listing := listing{lister: l, handles: map[string]struct{}{}, tokens: map[string]struct{}{}}
		err := listing.run(ctx)
		if err == nil {
			return listing.volumes, nil
		}
		if !errors.Is(err, errStartOver) {
			return nil, err
		}
		if starts == maxListStarts {
			return nil, fmt.Errorf("listing was begun %d times: %w", starts, err)
		}
	}
}

// errStartOver is wrapped when the driver does not take its own token any more.
var errStartOver = errors.New("the CSI driver does not take the next_token that it gave")

// listing is one way through the pages.
type listing struct {
	lister  *Lister
	volumes []*csipb.Volume
	handles map[string]struct{}
	tokens  map[string]struct{}
}

func (l *listing) run(ctx context.Context) error {
	token, barren := "", 0
	for {
		page, err := l.lister.ask(ctx, token)
		if err != nil {
			return err
		}
		before := len(l.volumes)
		if err := l.take(page.GetEntries()); err != nil {
			return err
		}
		if barren++; len(l.volumes) > before {
			barren = 0
		}
		if token = page.GetNextToken(); token == "" {
			return nil
		}
		if _, again := l.tokens[token]; again {
			return fmt.Errorf("listing volumes (ListVolumes): the CSI driver gave the next_token %q twice, so that the list has no end: this is a fault of the driver", shorten(token))
		}
		if barren == maxBarrenPages {
			return fmt.Errorf("listing volumes (ListVolumes): the last %d pages held no volume that was not listed before, and the CSI driver says that there are more: this is a fault of the driver", barren)
		}
		l.tokens[token] = struct{}{}
	}
}

// take takes what is new of a page.
func (l *listing) take(entries []*csipb.ListVolumesResponse_Entry) error {
	for _, entry := range entries {
		handle := entry.GetVolume().GetVolumeId()
		if handle == "" {
			return errors.New("listing volumes (ListVolumes): the CSI driver lists a volume without volume_id: this is a fault of the driver")
		}
		if _, listed := l.handles[handle]; !listed {
			l.handles[handle] = struct{}{}
			l.volumes = append(l.volumes, entry.GetVolume())
		}
	}
	return nil
}

// ask asks for one page.
func (l *Lister) ask(ctx context.Context, token string) (*csipb.ListVolumesResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	page, err := l.client.ListVolumes(ctx, &csipb.ListVolumesRequest{MaxEntries: l.page, StartingToken: token})
	switch code := status.Code(err); {
	case err == nil:
		return page, nil
	case code == codes.Aborted && token != "":
		return nil, fmt.Errorf("listing volumes (ListVolumes): %w: %w", errStartOver, Plain(err))
	case code == codes.DeadlineExceeded:
		return nil, fmt.Errorf("listing volumes (ListVolumes): the CSI driver has not answered within %s (--timeout): %w", l.timeout, Plain(err))
	default:
		return nil, fmt.Errorf("listing volumes (ListVolumes): %w", Plain(err))
	}
}
