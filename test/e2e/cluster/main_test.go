package cluster_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/cluster"
)

// childVariable makes the test program start a cluster, print its directory and
// wait, for the test that kills it.
const childVariable = "CLUSTER_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		os.Exit(child())
	}
	os.Exit(m.Run())
}

func child() int {
	c, err := cluster.Start(context.Background(), cluster.Options{Kubelet: os.Geteuid() == 0})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(c.Dir())
	select {}
}

// start starts a cluster that ends with the test.
func start(t *testing.T, options cluster.Options) *cluster.Cluster {
	t.Helper()
	begin := time.Now()
	c, err := cluster.Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("started in %s", time.Since(begin).Round(time.Millisecond))
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// eventually asks until there is no error, and fails the test when there is
// still one in the end.
func eventually(t *testing.T, timeout time.Duration, ask func() error) {
	t.Helper()
	deadline := time.Now().Add(timeout)
	for {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %s: %v", timeout, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
