package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/cluster"
)

// Deaths count how programs ended.
type Deaths struct {
	// Killed is at random moments.
	Killed int
	// Failpoints is at failpoints, by side and point.
	Failpoints map[string]int
	// Ended is by themselves: a lost lease, a lost connection.
	Ended int
}

// A replica keeps its programs running, as the kubelet does with the containers of
// a pod.
type replica struct {
	keepers []*keeper
	running sync.WaitGroup
}

// startReplica starts the programs; the first dies at the failpoints of its lives.
func startReplica(ctx context.Context, l launch, lives []string) *replica {
	r := &replica{}
	for n := range l.program.Paths {
		k := &keeper{
			start:  func(failpoint string) (*cluster.Process, error) { return l.start(n, failpoint) },
			log:    l.cluster.LogFile(l.logName(n)),
			works:  l.program.Works[n],
			away:   l.away,
			deaths: Deaths{Failpoints: map[string]int{}},
		}
		k.stop, k.halt = context.WithCancel(ctx)
		if n == 0 {
			k.lives = lives
		}
		r.keepers = append(r.keepers, k)
		r.running.Go(k.keep)
	}
	return r
}

// Kill ends the programs at once; they start again.
func (r *replica) Kill() {
	for _, k := range r.keepers {
		k.kill()
	}
}

// Pause stops the programs where they are.
func (r *replica) Pause() { r.signal(syscall.SIGSTOP) }

// Resume lets them go on.
func (r *replica) Resume() { r.signal(syscall.SIGCONT) }

func (r *replica) signal(signal os.Signal) {
	for _, k := range r.keepers {
		if process := k.current(); process != nil {
			_ = process.Signal(signal) // one that has ended needs none
		}
	}
}

// end ends the programs for good, in good order or at once.
func (r *replica) end(graceful bool) error {
	for _, k := range r.keepers {
		k.halt()
	}
	r.Resume()
	if graceful {
		r.signal(syscall.SIGTERM)
	} else {
		r.Kill()
	}
	r.running.Wait()
	var errs []error
	for _, k := range r.keepers {
		errs = append(errs, k.failed)
	}
	return errors.Join(errs...)
}

// isWorking tells whether all programs run, and have begun to work.
func (r *replica) isWorking() bool {
	for _, k := range r.keepers {
		if !k.isWorking() {
			return false
		}
	}
	return true
}

// deaths tells how the programs have died, as one: they are killed together.
func (r *replica) deaths() Deaths { return r.keepers[0].deaths }

// livesLeft are the failpoints that were not reached.
func (r *replica) livesLeft() []string { return r.keepers[0].lives }

// keeper keeps one program running.
type keeper struct {
	start func(failpoint string) (*cluster.Process, error)
	// log is that of all the program's processes, and works what each of them says
	// there when it begins to work.
	log, works string
	stop       context.Context //nolint:containedctx // ends the keeper, not a call
	halt       context.CancelFunc
	away       time.Duration
	lives      []string

	mu      sync.Mutex
	process *cluster.Process
	begun   int64 // the log's size when the process was started
	killed  bool
	deaths  Deaths
	failed  error // why the program can't be kept running
}

// stopPatience is the time that a program has to stop in good order.
const stopPatience = time.Minute

func (k *keeper) keep() {
	for k.stop.Err() == nil {
		failpoint, err := k.begin()
		if err != nil {
			k.failed = err
			return
		}
		process := k.current()
		select {
		case <-process.Done():
		case <-k.stop.Done():
			select {
			case <-process.Done():
			case <-time.After(stopPatience):
				_ = process.Kill()
				k.failed = fmt.Errorf("%s has not ended %s after it was told to (log %s)", process.Name(), stopPatience, process.LogFile())
			}
		}
		k.count(process, failpoint)
		select {
		case <-k.stop.Done():
		case <-time.After(k.away):
		}
	}
}

// begin starts the next life, to die at the first failpoint that has not been
// reached.
func (k *keeper) begin() (failpoint string, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.lives) > 0 {
		failpoint = k.lives[0]
	}
	k.killed, k.begun = false, 0
	if log, err := os.Stat(k.log); err == nil {
		k.begun = log.Size()
	}
	k.process, err = k.start(failpoint)
	return failpoint, err
}

func (k *keeper) current() *cluster.Process {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.process
}

func (k *keeper) isWorking() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.process == nil {
		return false
	}
	select {
	case <-k.process.Done():
		return false
	default:
	}
	log, err := os.ReadFile(k.log)
	return err == nil && int64(len(log)) > k.begun && strings.Contains(string(log[k.begun:]), k.works)
}

func (k *keeper) kill() {
	k.mu.Lock()
	process := k.process
	if process != nil {
		select {
		case <-process.Done():
			process = nil
		default:
			k.killed = true
		}
	}
	k.mu.Unlock()
	if process != nil {
		_ = process.Kill()
	}
}

// count counts a death.
func (k *keeper) count(process *cluster.Process, failpoint string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.killed:
		k.deaths.Killed++
	case failpoint != "" && bySIGKILL(process.Wait()):
		k.lives = k.lives[1:]
		k.deaths.Failpoints[failpoint[:strings.LastIndex(failpoint, ":")]]++
	case k.stop.Err() == nil:
		k.deaths.Ended++
	}
}

func bySIGKILL(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}
