package bench

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/cluster"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/figures"
)

// The names of what is compared, as they are in the results.
const (
	Own      = "this project"
	Peer     = "peers"
	Baseline = "baseline"
)

// contender is one of the two that are compared.
type contender struct {
	name     string
	programs []program
}

// program is one that runs beside the driver.
type program struct {
	path  string
	flags []string
}

// duty is what is asked of a contender: the peers have a program for each.
type duty int

const (
	provisions duty = iota
	expands
	both
)

// contenders returns those for a duty. This project's program always does both, with its
// default flags. The peers' limits are taken away.
func contenders(bin string, of duty, flags ...string) []contender {
	limits := []string{"--kube-api-qps=10000", "--kube-api-burst=20000"}
	provisioner := program{filepath.Join(bin, "peer-provisioner"), slices.Concat(limits, []string{"--worker-threads=100"}, flags)}
	resizer := program{filepath.Join(bin, "peer-resizer"), slices.Concat(limits, []string{"--workers=100"}, flags)}
	peers := map[duty][]program{provisions: {provisioner}, expands: {resizer}, both: {provisioner, resizer}}
	return []contender{
		{name: Own, programs: []program{{filepath.Join(bin, "csi-provisioner"), flags}}},
		{name: Peer, programs: peers[of]},
	}
}

// check tells which program is not there.
func (c contender) check() error {
	for _, p := range c.programs {
		if _, err := os.Stat(p.path); err != nil {
			return fmt.Errorf("looking for the programs to measure (make bench builds them): %w", err)
		}
	}
	return nil
}

// run is the processes of a contender.
type run struct {
	processes []*cluster.Process
	began     time.Time
}

// start starts a contender's programs.
func (s *scene) start(c contender) (*run, error) {
	r := &run{began: time.Now()}
	for _, p := range c.programs {
		command := exec.Command(p.path, append([]string{
			"--kubeconfig=" + s.stage.SidecarKubeconfig(), "--csi-address=" + s.socket,
		}, p.flags...)...)
		command.Env = append(os.Environ(), "POD_NAME=bench", "POD_NAMESPACE=default", "KUBECONFIG=")
		process, err := s.stage.Cluster.Run(filepath.Base(p.path), command)
		if err != nil {
			return r, errors.Join(err, r.kill())
		}
		r.processes = append(r.processes, process)
	}
	return r, nil
}

// ended returns an error if one of the programs has ended.
func (r *run) ended() error {
	for _, p := range r.processes {
		select {
		case <-p.Done():
			return fmt.Errorf("%s has ended (log %s): %w", p.Name(), p.LogFile(), p.Wait())
		default:
		}
	}
	return nil
}

// kill ends the programs. What they would do at an orderly end is not measured.
func (r *run) kill() error {
	var all error
	for _, p := range r.processes {
		all = errors.Join(all, p.Kill())
	}
	return all
}

// usage is what all processes of a contender have used so far.
type usage struct {
	cpu time.Duration
	// resident is the memory that they have, peak the most that they ever had, in bytes.
	resident, peak float64
}

func (r *run) usage() (u usage, err error) {
	for _, p := range r.processes {
		cpu, err := figures.CPU(p.Pid())
		if err != nil {
			return u, err
		}
		memory, err := figures.MeasureMemory(p.Pid())
		if err != nil {
			return u, err
		}
		u.cpu += cpu
		u.resident += memory.Resident
		u.peak += memory.Peak
	}
	return u, nil
}
