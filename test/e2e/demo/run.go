// Package demo shows the sidecar at work: a real cluster, a driver with real volumes, a
// Secret, a class that names it, a claim and a pod. It tells what happens as it happens,
// and cleans up.
package demo

import (
	"context"
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
func Run(ctx context.Context, options Options) error {
	n := &narrator{out: options.Out, begin: time.Now()}
	root := os.Geteuid() == 0
	n.chapter("A Kubernetes cluster starts")
	if !root {
		n.line("without root there is no kubelet: the story ends with the bound claim")
	}
	err := stage.With(ctx, stage.Options{Kubelet: root, Progress: n.line}, stage.Logs{Tell: n.line}, func(s *stage.Stage) error {
		defer n.chapter("Cleaning up")
		return play(ctx, n, s, options.Keep)
	})
	if err != nil {
		return err
	}
	n.line("everything that was started has ended, and is removed")
	return nil
}

// play tells the story on a stage. The calls of the driver are told as they come.
func play(ctx context.Context, n *narrator, s *stage.Stage, keep bool) error {
	story := newStory(n, s)
	following, cancel := context.WithCancel(ctx)
	defer story.followers.Wait()
	defer cancel()
	if err := story.startPrograms(ctx); err != nil {
		return err
	}
	story.followers.Go(func() { story.followCalls(following) })
	if err := story.tell(ctx); err != nil {
		return err
	}
	if !keep {
		return story.end(ctx)
	}
	n.chapter("Everything goes on until Ctrl-C")
	n.line("export KUBECONFIG=" + s.Cluster.Kubeconfig())
	n.line("the logs are in " + s.Cluster.LogDir())
	<-ctx.Done()
	return nil
}
