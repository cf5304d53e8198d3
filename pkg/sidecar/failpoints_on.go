//go:build failpoints

package sidecar

import (
	"os"
	"syscall"

	"google.golang.org/grpc"
	"k8s.io/client-go/rest"

	"github.com/csi-provisioner/csi-provisioner/pkg/failpoint"
)

// failpointsAtAPI has the process die where the environment says, at a request to
// the API server.
func failpointsAtAPI(config *rest.Config) error {
	trigger, err := chosenFailpoint()
	if err == nil {
		config.Wrap(trigger.Transport)
	}
	return err
}

// failpointsAtDriver does the same at a call to the driver. Without a valid choice
// failpointsAtAPI has ended the program.
func failpointsAtDriver() []grpc.UnaryClientInterceptor {
	trigger, err := chosenFailpoint()
	if err != nil {
		return nil
	}
	return []grpc.UnaryClientInterceptor{trigger.Driver}
}

func chosenFailpoint() (*failpoint.Trigger, error) {
	return failpoint.New(os.Getenv(failpoint.Variable), die)
}

// die ends the process as a crash does; nothing goes on meanwhile.
func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}
