package cluster

import (
	"context"
	"fmt"
	"os/exec"
	"sync"
)

// A Component is a part of Kubernetes that can fail: it can be paused, killed
// and started again, on the same ports and with the same data.
type Component struct {
	name    string
	command func() *exec.Cmd
	run     func(name string, cmd *exec.Cmd) (*Process, error)
	ready   func(ctx context.Context) error

	mu      sync.Mutex
	process *Process
}

// Process is the component's process, the last one if it was restarted.
func (c *Component) Process() *Process {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.process
}

// LogFile is the file with the component's log.
func (c *Component) LogFile() string { return c.Process().LogFile() }

// Pause stops the component where it is, see Process.Pause.
func (c *Component) Pause() error { return c.Process().Pause() }

// Resume lets a paused component go on.
func (c *Component) Resume() error { return c.Process().Resume() }

// Kill ends the component at once and returns when it is gone.
func (c *Component) Kill() error { return c.Process().Kill() }

// Restart kills the component, if it still runs, and starts it again. It returns
// when the component is ready: the controller manager and the scheduler are as
// soon as they run, for they have nothing to ask.
func (c *Component) Restart(ctx context.Context) error {
	if err := c.Kill(); err != nil {
		return err
	}
	if err := c.start(); err != nil {
		return err
	}
	return c.await(ctx, c.name, c.ready)
}

func (c *Component) start() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	process, err := c.run(c.name, c.command())
	if err != nil {
		return err
	}
	c.process = process
	return nil
}

// await waits for something that the component brings about, and no longer when
// the component has ended.
func (c *Component) await(ctx context.Context, what string, ready func(context.Context) error) error {
	process := c.Process()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-process.Done():
			cancel(process.failure())
		case <-ctx.Done():
		}
	}()
	if err := poll(ctx, ready); err != nil {
		return fmt.Errorf("waiting for %s: %w", what, err)
	}
	return nil
}
