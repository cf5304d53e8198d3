package registration_test

import (
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	pluginv1 "k8s.io/kubelet/pkg/apis/pluginregistration/v1"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/registration"
)

func TestKubeletCanAskAndIsToldOfTheEnd(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "a.example-reg.sock")
	if err := os.WriteFile(socket, nil, 0o600); err != nil { // what a killed driver left
		t.Fatal(err)
	}
	server, err := registration.Start(t.Context(), dir, "a.example", "/run/csi.sock")
	if err != nil {
		t.Fatal(err)
	}
	connection, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	info, err := pluginv1.NewRegistrationClient(connection).GetInfo(t.Context(), &pluginv1.InfoRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if info.GetType() != "CSIPlugin" || info.GetName() != "a.example" || info.GetEndpoint() != "/run/csi.sock" {
		t.Errorf("info is %v", info)
	}
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(socket); !os.IsNotExist(err) {
		t.Errorf("the socket is still there: %v", err)
	}
}
