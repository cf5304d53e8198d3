package cluster

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// start starts the components in their order: those that find each other by
// themselves together, and when they answer, those that give up without an API
// server.
func (c *Cluster) start(ctx context.Context) error {
	begin := time.Now()
	first, second := c.parts()
	for _, parts := range [][]part{first, second} {
		if err := c.startAll(ctx, parts); err != nil {
			return err
		}
	}
	c.options.Progress("waiting for the cluster to be ready")
	if err := c.awaitDefaults(ctx); err != nil {
		return err
	}
	c.options.Progress(fmt.Sprintf("the cluster is ready after %s", time.Since(begin).Round(10*time.Millisecond)))
	return nil
}

// startAll starts the components, and then waits for each of them.
func (c *Cluster) startAll(ctx context.Context, parts []part) error {
	for _, p := range parts {
		c.options.Progress("starting " + p.name)
		arguments := slices.Concat([]string{p.name}, p.arguments, c.options.Arguments[p.name])
		component := &Component{
			name:    p.name,
			command: func() *exec.Cmd { return c.command(arguments) },
			run:     c.Run,
			ready:   p.ready,
		}
		if err := component.start(); err != nil {
			return err
		}
		c.components[p.name] = component
	}
	for _, p := range parts {
		if err := c.components[p.name].await(ctx, p.name, p.ready); err != nil {
			return err
		}
	}
	return nil
}

// command is that of a component. Its working directory is one where there is
// nothing to lose: with a runtime that keeps no logs, the kubelet takes the files
// in it for the logs of containers that are gone, and removes them.
func (c *Cluster) command(arguments []string) *exec.Cmd {
	cmd := exec.Command(c.options.Binary, arguments...)
	cmd.Dir = c.path(work)
	return cmd
}

// awaitDefaults waits for what a test takes for granted, and no component is
// asked for: the service account of pods, and a node that takes them.
func (c *Cluster) awaitDefaults(ctx context.Context) error {
	if component, ok := c.components[ControllerManager]; ok {
		ready := func(ctx context.Context) error {
			_, err := c.client.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
			return err
		}
		if err := component.await(ctx, "the default service account", ready); err != nil {
			return err
		}
	}
	if component, ok := c.components[Kubelet]; ok {
		return component.await(ctx, "the node", c.nodeReady)
	}
	return nil
}

// nodeReady fails until the kubelet's node is ready and takes pods.
func (c *Cluster) nodeReady(ctx context.Context) error {
	node, err := c.client.CoreV1().Nodes().Get(ctx, c.options.NodeName, metav1.GetOptions{})
	if err != nil {
		return err
	}
	ready := slices.ContainsFunc(node.Status.Conditions, func(condition corev1.NodeCondition) bool {
		return condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue
	})
	if !ready {
		return errors.New("the node is not ready")
	}
	// Without a controller manager nobody takes the first taint away.
	if c.options.WithoutControllerManager {
		return c.untaint(ctx, node.Name)
	}
	if len(node.Spec.Taints) > 0 {
		return fmt.Errorf("the node has the taint %s", node.Spec.Taints[0].ToString())
	}
	return nil
}

// pollInterval is short, because a test waits, and everything is on this machine.
const pollInterval = 25 * time.Millisecond

// poll asks until there is no error. When the context ends first, the error says
// why it ended, and what was still wrong.
func poll(ctx context.Context, ask func(context.Context) error) error {
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (%w)", context.Cause(ctx), err)
		case <-time.After(pollInterval):
		}
	}
}
