// Package suite tests the sidecar end to end: the real program, with exactly the
// rights of deploy/kubernetes/rbac.yaml, beside a driver with real volumes, on a
// real cluster. Each test has a driver, a class and a sidecar of its own, so that
// they run side by side in one cluster.
package suite

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/stage"
)

// shared is the one cluster of all tests. Starting one for each would take most
// of the time.
var shared *stage.Stage

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	ctx, restore := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer restore()
	var err error
	shared, err = stage.Open(ctx, stage.Options{
		Kubelet:  os.Geteuid() == 0,
		Progress: func(message string) { fmt.Println(message) },
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if code != 0 && os.Getenv("KEEP") != "" {
		fmt.Println("The logs are kept in", shared.Cluster.LogDir())
		if err := shared.Cluster.Keep(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	if err := shared.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}
