// Command demo shows the sidecar at work: a real cluster, a driver with real
// volumes, a Secret, a class that names it, a claim and a pod. It tells what
// happens as it happens, and cleans up.
//
// With KEEP=1 in the environment it leaves everything running until Ctrl-C.
// Without root it leaves out the kubelet, and with it the pod.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/stage"
)

// driverName is the driver of the story's class.
const driverName = "blockstorage.cloudprovider.example"

func main() {
	ctx, restore := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer restore()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	n := &narrator{out: os.Stdout, begin: time.Now()}
	root := os.Geteuid() == 0
	n.chapter("A Kubernetes cluster starts")
	if !root {
		n.line("without root there is no kubelet: the story ends with the bound claim")
	}
	s, err := stage.Open(ctx, stage.Options{Kubelet: root, Progress: n.line})
	if err != nil {
		return err
	}
	defer func() {
		n.chapter("Cleaning up")
		err = errors.Join(err, s.Close())
		n.line("everything that was started is gone")
	}()
	story := &story{narrator: n, stage: s}
	if err := story.tell(ctx); err != nil {
		return err
	}
	if os.Getenv("KEEP") == "" {
		return story.end(ctx)
	}
	n.chapter("KEEP is set: everything goes on until Ctrl-C")
	n.line("export KUBECONFIG=" + s.Cluster.Kubeconfig())
	n.line("the logs are in " + s.Cluster.LogDir())
	<-ctx.Done()
	return nil
}
