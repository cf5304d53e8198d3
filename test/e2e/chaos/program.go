package chaos

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/cluster"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/stage"
)

// failpointVariable chooses the failpoint of a program that has them.
const failpointVariable = "CSI_PROVISIONER_FAILPOINT"

// A Program is what makes the volumes: one sidecar, or several that share the work
// and die together.
type Program struct {
	// Name is shown.
	Name string
	// Paths are those of the programs.
	Paths []string
	// Works are what each of the programs logs when it begins to work.
	Works []string
	// Flags follow those that all programs have.
	Flags []string
	// Failpoints tells that the program is built with the tag failpoints.
	Failpoints bool
}

// ownName is the name of this project's program.
const ownName = "csi-provisioner"

// Own is this project's program, built with the tag failpoints.
func Own(path string, flags ...string) Program {
	return Program{Name: ownName, Paths: []string{path}, Works: []string{`"Working"`}, Flags: flags, Failpoints: true}
}

// Peers are external-provisioner and external-resizer. Their requests to the API
// server are as good as unlimited, as this project's are.
func Peers(provisioner, resizer string) Program {
	return Program{
		Name:  "external-provisioner and external-resizer",
		Paths: []string{provisioner, resizer},
		Works: []string{"Started provisioner controller", "Starting external resizer"},
		Flags: []string{"--kube-api-qps=1000", "--kube-api-burst=1000"},
	}
}

const (
	// callTimeout is short, so that calls that hang are given up in a round.
	callTimeout = 3 * time.Second
	// leaseDuration and the others are those of rounds with a standby.
	leaseDuration = 3 * time.Second
	renewDeadline = 2 * time.Second
	retryPeriod   = 500 * time.Millisecond
)

// launch is how the programs of one replica are started.
type launch struct {
	program Program
	cluster *cluster.Cluster
	driver  *stage.Driver
	api     string // URL of the proxy
	name    string // of the pod
	elect   bool
	// away is the time until a program that has ended is started again.
	away time.Duration
}

// start starts the n-th of the programs, to die at a failpoint if there is one.
func (l launch) start(n int, failpoint string) (*cluster.Process, error) {
	arguments := append([]string{
		"--master=" + l.api,
		"--csi-address=" + l.driver.Socket,
		"--timeout=" + callTimeout.String(),
		"--retry-interval-start=200ms",
		"--retry-interval-max=2s",
		"-v=5", // the most talkative: no secret may be seen in it
	}, l.program.Flags...)
	if l.elect {
		arguments = append(arguments, "--leader-election",
			"--leader-election-lease-duration="+leaseDuration.String(),
			"--leader-election-renew-deadline="+renewDeadline.String(),
			"--leader-election-retry-period="+retryPeriod.String())
	}
	path := l.program.Paths[n]
	command := exec.Command(path, arguments...)
	command.Env = append(os.Environ(), "POD_NAME="+l.name, "KUBECONFIG=", "POD_NAMESPACE=default", failpointVariable+"="+failpoint)
	return l.cluster.Run(l.logName(n), command)
}

func (l launch) logName(n int) string {
	return fmt.Sprintf("%s-%s", l.name, filepath.Base(l.program.Paths[n]))
}
