// Package demo shows the sidecar at work: a real cluster, a driver with real volumes, a
// Secret, a class that names it, a claim and a pod. It tells what happens as it happens,
// and cleans up.
package demo

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/stage"
)

// driverName is the driver of the story's class.
const driverName = "blockstorage.cloudprovider.example"

// Options of a demonstration.
type Options struct {
	// Out is where the story goes.
	Out io.Writer
	// Keep leaves everything running until the context ends.
	Keep bool
}

// Run tells the story. Without root it leaves out the kubelet, and with it the pod.
func Run(ctx context.Context, options Options) (err error) {
	n := &narrator{out: options.Out, begin: time.Now()}
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
	if !options.Keep {
		return story.end(ctx)
	}
	n.chapter("Everything goes on until Ctrl-C")
	n.line("export KUBECONFIG=" + s.Cluster.Kubeconfig())
	n.line("the logs are in " + s.Cluster.LogDir())
	<-ctx.Done()
	return nil
}
