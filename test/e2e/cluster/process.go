package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Process is a process of the cluster: a component's, or one that was started
// with Run. It ends with the cluster.
type Process struct {
	name string
	log  string
	cmd  *exec.Cmd
	done chan struct{}
	err  error // valid when done is closed
}

// Run starts a program as a part of the cluster, say a driver: it ends with the
// cluster, its standard output and error go to LogFile(name) unless the command
// has others, and Ctrl-C in the terminal does not reach it. A name may be used
// again, its log goes on.
func (c *Cluster) Run(name string, cmd *exec.Cmd) (*Process, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.stopped {
		return nil, fmt.Errorf("starting %s: the cluster has stopped", name)
	}
	output, err := os.OpenFile(c.LogFile(name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening the log of %s: %w", name, err)
	}
	defer output.Close()
	if cmd.Stdout == nil {
		cmd.Stdout = output
	}
	if cmd.Stderr == nil {
		cmd.Stderr = output
	}
	cmd.Env = append(without(cmd.Environ(), guardVariable), guardVariable+"="+c.dir)
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	p := &Process{name: name, log: c.LogFile(name), cmd: cmd, done: make(chan struct{})}
	go p.reap()
	return p, nil
}

func (p *Process) reap() {
	p.err = p.cmd.Wait()
	close(p.done)
}

// Name is the name that the process was started with.
func (p *Process) Name() string { return p.name }

// Pid is the process identifier.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// LogFile is the file with the process's output.
func (p *Process) LogFile() string { return p.log }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait waits for the end of the process. The error is that of exec.Cmd.Wait: nil
// for exit code 0, an *exec.ExitError for others.
func (p *Process) Wait() error {
	<-p.done
	return p.err
}

// Signal sends a signal. To a process that has ended it is os.ErrProcessDone.
func (p *Process) Signal(signal os.Signal) error {
	if err := p.cmd.Process.Signal(signal); err != nil {
		return fmt.Errorf("sending %q to %s: %w", signal, p.name, err)
	}
	return nil
}

// Pause stops the process where it is, as a machine does that hangs: its
// connections stay open, and nothing is answered. It returns when the last thread
// has stopped; until then, a request might still be answered. The error for one that
// ends instead is os.ErrProcessDone.
func (p *Process) Pause() error {
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	late := time.After(stopTimeout)
	for !p.isStopped() {
		select {
		case <-time.After(stopPoll):
		case <-p.done:
			return fmt.Errorf("waiting for %s to stop: %w", p.name, os.ErrProcessDone)
		case <-late:
			return fmt.Errorf("waiting for %s to stop: it has not in %s", p.name, stopTimeout)
		}
	}
	return nil
}

const (
	// stopTimeout bounds how long the threads of a process take to stop, and stopPoll
	// is the time between two looks.
	stopTimeout = 10 * time.Second
	stopPoll    = 100 * time.Microsecond
)

// isStopped tells whether all threads have stopped: that is when the kernel tells the
// parent.
func (p *Process) isStopped() bool {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, p.Pid(), &info, unix.WSTOPPED|unix.WNOHANG|unix.WNOWAIT, nil)
	return err == nil && info.Signo != 0
}

// Resume lets a paused process go on.
func (p *Process) Resume() error { return p.Signal(syscall.SIGCONT) }

// Terminate tells the process to end in good order, and waits until it has. It is an
// error if it ends with another exit code than 0, or has to be killed after that time.
func (p *Process) Terminate(patience time.Duration) error {
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.done:
		return p.err
	case <-time.After(patience):
		return errors.Join(fmt.Errorf("%s has not ended %s after it was told to (log %s)", p.name, patience, p.log), p.Kill())
	}
}

// Kill ends the process at once, as a crash does, and returns when it is gone.
// One that has ended already is no error.
func (p *Process) Kill() error {
	if err := p.Signal(syscall.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-p.done
	return nil
}

// failure is the error of a process that should not have ended.
func (p *Process) failure() error {
	state := "exit code 0"
	if p.err != nil {
		state = p.err.Error()
	}
	return fmt.Errorf("%s ended (%s); its log %s ends with\n%s", p.name, state, p.log, tail(p.log))
}

// without returns the environment without a variable.
func without(environment []string, variable string) []string {
	return slices.DeleteFunc(slices.Clone(environment), func(entry string) bool {
		return strings.HasPrefix(entry, variable+"=")
	})
}

// tail returns the last lines of a log, or why it cannot be read.
func tail(logFile string) string {
	const lines = 20
	content, err := os.ReadFile(logFile)
	if err != nil {
		return err.Error()
	}
	all := bytes.Split(bytes.TrimRight(content, "\n"), []byte("\n"))
	return string(bytes.Join(all[max(0, len(all)-lines):], []byte("\n")))
}
