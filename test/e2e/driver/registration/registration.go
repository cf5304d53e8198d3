// Package registration announces the driver to a kubelet: it answers the plugin
// registration API (k8s.io/kubelet/pkg/apis/pluginregistration/v1) on a socket
// in the directory that the kubelet watches. In production a sidecar,
// node-driver-registrar, does this.
package registration

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/go-logr/logr"
	"google.golang.org/grpc"
	pluginv1 "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

// A Server answers the kubelet.
type Server struct {
	grpc *grpc.Server
	done chan error
}

// Start announces the driver with that name, whose CSI socket is the endpoint.
// The kubelet calls back in its own time; the logger of the context tells.
func Start(ctx context.Context, dir, driver, endpoint string) (*Server, error) {
	endpoint, err := filepath.Abs(endpoint)
	if err != nil {
		return nil, fmt.Errorf("registering with the kubelet: %w", err)
	}
	socket := filepath.Join(dir, driver+"-reg.sock")
	// A socket that a killed driver left would hide this one.
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("removing the old registration socket: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "unix", socket)
	if err != nil {
		return nil, fmt.Errorf("registering with the kubelet: %w", err)
	}
	s := &Server{grpc: grpc.NewServer(), done: make(chan error, 1)}
	pluginv1.RegisterRegistrationServer(s.grpc, &service{
		log: logr.FromContextOrDiscard(ctx), driver: driver, endpoint: endpoint,
	})
	go func() { s.done <- s.grpc.Serve(listener) }()
	return s, nil
}

// Stop ends the server and removes its socket, by which the kubelet notices.
func (s *Server) Stop() error {
	s.grpc.Stop()
	if err := <-s.done; err != nil {
		return fmt.Errorf("serving the registration: %w", err)
	}
	return nil
}

type service struct {
	pluginv1.UnimplementedRegistrationServer
	log              logr.Logger
	driver, endpoint string
}

func (s *service) GetInfo(context.Context, *pluginv1.InfoRequest) (*pluginv1.PluginInfo, error) {
	return &pluginv1.PluginInfo{
		Type:              pluginv1.CSIPlugin,
		Name:              s.driver,
		Endpoint:          s.endpoint,
		SupportedVersions: []string{"1.0.0"},
	}, nil
}

func (s *service) NotifyRegistrationStatus(
	_ context.Context, status *pluginv1.RegistrationStatus,
) (*pluginv1.RegistrationStatusResponse, error) {
	if status.GetPluginRegistered() {
		s.log.Info("Kubelet registered the driver")
	} else {
		s.log.Info("Kubelet refused the driver", "reason", status.GetError())
	}
	return &pluginv1.RegistrationStatusResponse{}, nil
}
