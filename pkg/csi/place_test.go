package csi_test

import (
	"context"
	"maps"
	"strings"
	"testing"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
)

// located is a driver that tells where its node is, after it has failed with the
// errors.
type located struct {
	*driver
	csipb.UnimplementedNodeServer
	segments map[string]string
	errs     []error
}

func (l *located) NodeGetInfo(context.Context, *csipb.NodeGetInfoRequest) (*csipb.NodeGetInfoResponse, error) {
	if len(l.errs) > 0 {
		err := l.errs[0]
		l.errs = l.errs[1:]
		return nil, err
	}
	response := &csipb.NodeGetInfoResponse{NodeId: "n1"}
	if l.segments != nil {
		response.AccessibleTopology = &csipb.Topology{Segments: l.segments}
	}
	return response, nil
}

func serveLocated(t *testing.T, socket string, l *located) (stop func()) {
	t.Helper()
	return serve(t, socket, l.driver, func(server *grpc.Server) { csipb.RegisterNodeServer(server, l) })
}

// at is the place of a zone.
func at(zone string) map[string]string { return map[string]string{"zone": zone} }

func TestLocate(t *testing.T) {
	away := status.Error(codes.Unavailable, "away")
	for name, test := range map[string]struct {
		driver *located
		want   map[string]string
		fails  string
	}{
		"at a place":              {&located{driver: capable(), segments: at("a")}, at("a"), ""},
		"away at first":           {&located{driver: capable(), segments: at("a"), errs: []error{away, away}}, at("a"), ""},
		"without topology":        {&located{driver: capable()}, nil, ""},
		"that does not know":      {&located{driver: capable(), errs: []error{status.Error(codes.Internal, "lost")}}, nil, "lost"},
		"without a node service ": {&located{driver: capable(), errs: []error{status.Error(codes.Unimplemented, "none")}}, nil, "must serve its node service at the same socket"},
	} {
		t.Run(name, func(t *testing.T) {
			socket := newSocket(t)
			serveLocated(t, socket, test.driver)
			session, err := csi.Open(quiet(t), dial(t, socket, nil), callTimeout, &hasty{})
			if err != nil {
				t.Fatal(err)
			}
			place, err := session.Locate(quiet(t))
			if (err == nil) != (test.fails == "") || err != nil && !strings.Contains(err.Error(), test.fails) {
				t.Errorf("Locate: error %v, want %q", err, test.fails)
			}
			if !maps.Equal(place, test.want) {
				t.Errorf("Locate = %v, want %v", place, test.want)
			}
		})
	}
}

// TestWatchEndsWhenTheDriverMoves: what was set up is for another place.
func TestWatchEndsWhenTheDriverMoves(t *testing.T) {
	socket := newSocket(t)
	stop := serveLocated(t, socket, &located{driver: capable(), segments: at("a")})
	session, err := csi.Open(quiet(t), dial(t, socket, nil), callTimeout, &hasty{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := session.Locate(quiet(t)); err != nil {
		t.Fatal(err)
	}
	returned, ended := make(chan struct{}, 10), make(chan error, 1)
	go func() { ended <- session.Watch(quiet(t), func() { returned <- struct{}{} }) }()
	stop()
	stop = serveLocated(t, socket, &located{driver: capable(), segments: at("a")})
	<-returned
	stop()
	serveLocated(t, socket, &located{driver: capable(), segments: at("b")})
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "another place: it was map[zone:a] and is map[zone:b]") {
		t.Errorf("Watch: %v", err)
	}
	if len(returned) > 0 {
		t.Error("returned was called")
	}
}
