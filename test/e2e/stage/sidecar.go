package stage

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/cluster"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/wait"
)

// Sidecar is a csi-provisioner that runs as a process.
type Sidecar struct {
	*cluster.Process
	// URL is that of its HTTP endpoint.
	URL string
}

// StartSidecar starts a sidecar for a driver, with the rights of its service
// account, and waits until it serves HTTP. The name is its own: it names the
// process and is the holder of the lease. The flags follow those that connect
// it.
func (s *Stage) StartSidecar(ctx context.Context, name string, driver *Driver, flags ...string) (*Sidecar, error) {
	return s.StartSidecarAs(ctx, s.Program("csi-provisioner"), name, driver, flags...)
}

// StartSidecarAs does the same with the program at another path, and so by
// another name.
func (s *Stage) StartSidecarAs(ctx context.Context, program, name string, driver *Driver, flags ...string) (*Sidecar, error) {
	return s.startSidecar(ctx, sidecarRun{program: program, name: name, kubeconfig: s.kubeconfig}, driver, flags)
}

// StartSidecarIn does the same with a sidecar whose pod is in a namespace of its own.
func (s *Stage) StartSidecarIn(ctx context.Context, namespace, name string, driver *Driver, flags ...string) (*Sidecar, error) {
	run := sidecarRun{program: s.Program("csi-provisioner"), name: name, kubeconfig: s.kubeconfig, environment: []string{"POD_NAMESPACE=" + namespace}}
	return s.startSidecar(ctx, run, driver, flags)
}

// sidecarRun is one run of the sidecar's program.
type sidecarRun struct {
	program, name, kubeconfig string
	// environment are variables beside those that each sidecar has.
	environment []string
}

func (s *Stage) startSidecar(ctx context.Context, run sidecarRun, driver *Driver, flags []string) (*Sidecar, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	arguments := append([]string{
		"--kubeconfig=" + run.kubeconfig,
		"--csi-address=" + driver.Socket,
		"--http-endpoint=127.0.0.1:0",
		"-v=5", // the most talkative: no secret may be seen in it
	}, flags...)
	command := exec.Command(run.program, arguments...)
	command.Env = append(append(os.Environ(), "POD_NAME="+run.name, "KUBECONFIG=", "POD_NAMESPACE=default"), run.environment...)
	process, err := s.Cluster.Run(run.name, command)
	if err != nil {
		return nil, err
	}
	sidecar := &Sidecar{Process: process}
	err = wait.Until(ctx, "sidecar "+run.name+" serves HTTP (log "+process.LogFile()+")", func() (bool, error) {
		select {
		case <-process.Done():
			return false, fmt.Errorf("it has ended: %w\n%s", process.Wait(), sidecar.Log())
		default:
		}
		address := httpAddress(sidecar.Log())
		sidecar.URL = "http://" + address
		return address != "", nil
	})
	return sidecar, err
}

// WaitReady waits until the sidecar says that it is ready.
func (s *Sidecar) WaitReady(ctx context.Context) error {
	return wait.Until(ctx, "sidecar "+s.Name()+" is ready (log "+s.LogFile()+")", func() (bool, error) {
		status, body, err := s.Get("/readyz")
		if err == nil && status != http.StatusOK {
			return false, fmt.Errorf("%w: %s", wait.ErrNotYet, body)
		}
		return err == nil, nil
	})
}

// Get asks the sidecar's HTTP endpoint.
func (s *Sidecar) Get(path string) (status int, body string, err error) {
	response, err := http.Get(s.URL + path)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	return response.StatusCode, string(content), err
}

// Log returns what the sidecar has logged so far.
func (s *Sidecar) Log() string {
	content, err := os.ReadFile(s.LogFile())
	if err != nil {
		return err.Error()
	}
	return string(content)
}

// httpAddress finds the address in the entry that tells where HTTP is served;
// the last one, as a log goes on when a process of the same name starts again.
func httpAddress(log string) string {
	matches := regexp.MustCompile(`"Serving HTTP"(?: address=|,.*"address":)"([^"]+)"`).FindAllStringSubmatch(log, -1)
	if len(matches) == 0 {
		return ""
	}
	return matches[len(matches)-1][1]
}
