package csi

import (
	"context"
	"fmt"
	"maps"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
)

// Locate asks the driver where its node is (CSI spec, NodeGetInfo), and waits while
// the driver is away. The result are the segments of the accessible topology; it is
// empty for a driver without topology. From then on, a driver that reconnects at
// another place counts as another driver.
func (s *Session) Locate(ctx context.Context) (map[string]string, error) {
	place, err := s.locate(ctx)
	if err != nil {
		return nil, err
	}
	s.place, s.located = place, true
	return place, nil
}

func (s *Session) locate(ctx context.Context) (map[string]string, error) {
	for {
		place, err := s.askPlace(ctx)
		if err == nil || Classify(err) != Pending || ctx.Err() != nil {
			return place, err
		}
		s.pause(ctx)
	}
}

func (s *Session) askPlace(ctx context.Context) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	info, err := csipb.NewNodeClient(s.conn).NodeGetInfo(ctx, &csipb.NodeGetInfoRequest{})
	if err != nil {
		return nil, fmt.Errorf("asking the CSI driver where its node is (NodeGetInfo), for which it must serve its node service at the same socket: %w", err)
	}
	return info.GetAccessibleTopology().GetSegments(), nil
}

// checkPlace returns an error when the driver's node has changed its place.
func (s *Session) checkPlace(ctx context.Context) error {
	if !s.located {
		return nil
	}
	place, err := s.locate(ctx)
	if err != nil {
		return err
	}
	if !maps.Equal(place, s.place) {
		return fmt.Errorf("the CSI driver reconnected at another place: it was %v and is %v", s.place, place)
	}
	return nil
}
