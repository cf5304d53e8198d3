package cluster

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

const (
	// guardVariable marks the processes of a cluster for its guard: its value is
	// the cluster's directory.
	guardVariable = "KUBE_GUARD_DIR"

	// guardReady is the line that the guard says when it is on guard.
	guardReady = "ready\n"

	// guardKeep is the line that makes the guard leave the directory in place.
	guardKeep = "keep\n"

	// guardTimeout is longer than the guard tries by itself.
	guardTimeout = 45 * time.Second
)

// A guard is the process that removes a cluster when its standard input ends:
// when release closes the pipe, or because this process died. The program is
// test/e2e/kube, see its package guard.
type guard struct {
	cmd *exec.Cmd
	log string

	mu   sync.Mutex
	pipe io.WriteCloser
}

// startGuard sets a guard on a directory, and returns when it is on guard.
func startGuard(binary, dir, logFile string) (*guard, error) {
	output, err := os.Create(logFile)
	if err != nil {
		return nil, fmt.Errorf("making the guard's log: %w", err)
	}
	defer output.Close()

	cmd := exec.Command(binary, "guard", dir)
	cmd.Stderr = output
	// Its own session: what the terminal sends to this process is not for it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	// Were it to inherit the mark of a cluster around this process, it would
	// end together with that one, and with its work undone.
	cmd.Env = without(os.Environ(), guardVariable)
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("making the guard's pipe: %w", err)
	}
	said, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("making the guard's pipe: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the guard: %w", err)
	}
	if line, err := bufio.NewReader(said).ReadString('\n'); line != guardReady {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return nil, fmt.Errorf("starting the guard: is %q the kube program? It says %q (%w)\n%s", binary, line, err, tail(logFile))
	}
	return &guard{cmd: cmd, log: logFile, pipe: pipe}, nil
}

// keep makes the guard leave the directory in place.
func (g *guard) keep() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, err := io.WriteString(g.pipe, guardKeep); err != nil {
		return fmt.Errorf("asking the guard to keep the directory: %w", err)
	}
	return nil
}

// release lets the guard do its work, and waits for it.
func (g *guard) release() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.pipe.Close(); err != nil {
		return fmt.Errorf("releasing the guard: %w", err)
	}
	timer := time.AfterFunc(guardTimeout, func() { _ = g.cmd.Process.Kill() })
	defer timer.Stop()
	if err := g.cmd.Wait(); err != nil {
		return fmt.Errorf("ending the cluster: %w; the guard says:\n%s", err, tail(g.log))
	}
	return nil
}
