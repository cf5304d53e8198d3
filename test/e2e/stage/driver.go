package stage

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/cluster"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/wait"
)

// Driver is a test driver that runs as a process.
type Driver struct {
	// Name is the driver's, as classes call it.
	Name string
	// TopologyKey is the node label by which its volumes are placed.
	TopologyKey string
	// Socket is that of the CSI services.
	Socket string
	// Control tells the driver what to do.
	Control *control.Client

	stage   *Stage
	id      string
	command []string
	process *cluster.Process
}

// startTimeout bounds the start of a driver and of a sidecar.
const startTimeout = 30 * time.Second

// StartDriver starts a driver and waits until it serves and its node is
// registered. The id is short and its own: it names the process and its files.
// The flags are those of the program cmd/driver.
func (s *Stage) StartDriver(ctx context.Context, id, name string, flags ...string) (*Driver, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	d, err := s.newDriver(id, name, s.Cluster.NodeName())
	if err != nil {
		return nil, err
	}
	d.command = append(d.command, flags...)
	if s.Kubelet {
		d.command = append(d.command, "--registration-dir="+s.Cluster.RegistrationDir())
	}
	if err := d.Start(ctx); err != nil {
		return nil, err
	}
	return d, d.register(ctx)
}

// ControllerOnly returns the flags of a driver whose volumes nobody uses: no node attaches
// them or expands their file systems.
func ControllerOnly() []string {
	return []string{"--backend=directory", "--node-capabilities=*,-EXPAND_VOLUME", "--controller-capabilities=*,-PUBLISH_UNPUBLISH_VOLUME"}
}

// newDriver prepares a driver for a node, and starts nothing.
func (s *Stage) newDriver(id, name, node string) (*Driver, error) {
	plugin := filepath.Join(s.Cluster.KubeletDir(), "plugins", id)
	state := filepath.Join(s.Cluster.Dir(), "volumes", id)
	for _, dir := range []string{plugin, state} {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return nil, fmt.Errorf("starting driver %s: %w", id, err)
		}
	}
	socket := filepath.Join(plugin, "control.sock")
	d := &Driver{
		Name:        name,
		TopologyKey: "topology." + name + "/node",
		Socket:      filepath.Join(plugin, "csi.sock"),
		Control:     control.New(socket),
		stage:       s,
		id:          id,
	}
	d.command = []string{
		s.Program("driver"),
		"--name=" + name,
		"--endpoint=" + d.Socket,
		"--control-socket=" + socket,
		"--state-dir=" + state,
		"--node-id=" + node,
	}
	return d, nil
}

// Start starts the driver (again), with further flags, and waits until it
// serves.
func (d *Driver) Start(ctx context.Context, flags ...string) error {
	arguments := append(slices.Clone(d.command[1:]), flags...)
	process, err := d.stage.Cluster.Run("driver-"+d.id, exec.Command(d.command[0], arguments...))
	if err != nil {
		return err
	}
	d.process = process
	if _, err := d.Control.WaitReady(ctx); err != nil {
		return fmt.Errorf("waiting for driver %s (log %s): %w", d.id, process.LogFile(), err)
	}
	return nil
}

// Process is the driver's process.
func (d *Driver) Process() *cluster.Process { return d.process }

// register waits until the kubelet has registered the driver's node service, or
// does so in its place.
func (d *Driver) register(ctx context.Context) error {
	node := d.stage.Cluster.NodeName()
	if !d.stage.Kubelet {
		d.stage.registrars.Lock()
		defer d.stage.registrars.Unlock()
		label := fmt.Appendf(nil, `{"metadata":{"labels":{%q:%q}}}`, d.TopologyKey, node)
		if _, err := d.stage.Client.CoreV1().Nodes().Patch(ctx, node, types.MergePatchType, label, metav1.PatchOptions{}); err != nil {
			return fmt.Errorf("labelling node %s: %w", node, err)
		}
		return d.stage.Cluster.AddCSINode(ctx, node, d.Name, node, d.TopologyKey)
	}
	return wait.Until(ctx, "driver "+d.Name+" is registered on its node", func() (bool, error) {
		registered, err := d.stage.Client.StorageV1().CSINodes().Get(ctx, node, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		for _, entry := range registered.Spec.Drivers {
			if entry.Name == d.Name {
				return true, nil
			}
		}
		return false, nil
	})
}
