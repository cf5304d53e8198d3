package compare

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/cluster"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/stage"
)

// Programs are the paths of what is compared.
type Programs struct {
	Own, PeerProvisioner, PeerResizer string
}

// ProgramsIn are those in a directory. It is an error if one is not there.
func ProgramsIn(s *stage.Stage) (Programs, error) {
	p := Programs{Own: s.Program("csi-provisioner"), PeerProvisioner: s.Program("peer-provisioner"), PeerResizer: s.Program("peer-resizer")}
	for _, path := range []string{p.Own, p.PeerProvisioner, p.PeerResizer} {
		if _, err := os.Stat(path); err != nil {
			return p, fmt.Errorf("looking for the programs to compare (make compare builds them): %w", err)
		}
	}
	return p, nil
}

// A side plays a scenario with one of the two that are compared: a driver, a
// namespace and programs of its own.
type side struct {
	// id is the namespace, and begins the names of what has none. The ids of the
	// two sides are of one length: names with them are.
	id       string
	peer     bool
	scenario *Scenario
	stage    *stage.Stage
	objects  *stage.Objects
	programs Programs

	driver  *stage.Driver
	aliases *Aliases
	running map[string]*cluster.Process // by controller
	volumes map[string]string           // names of PersistentVolumes by those of their claims
	steps   map[string]any              // what came of waiting
	records map[string]any              // what was recorded, by name
}

func (s *side) String() string {
	if s.peer {
		return "peers"
	}
	return "own"
}

// driverName is that of the side's driver.
func (s *side) driverName() string { return s.id + ".compare.example" }

// expand replaces the names in a scenario's texts that differ from side to side.
func (s *side) expand(text string) string {
	return strings.NewReplacer("$(ID)", s.id, "$(DRIVER)", s.driverName(), "$(NODE)", s.stage.Cluster.NodeName()).Replace(text)
}

func (s *side) expandAll(texts []string) []string {
	expanded := make([]string, 0, len(texts))
	for _, text := range texts {
		expanded = append(expanded, s.expand(text))
	}
	return expanded
}

// play plays the scenario to its end and returns what is compared.
func (s *side) play(ctx context.Context) (record any, err error) {
	defer func() {
		err = errors.Join(err, s.stop())
		if err != nil {
			err = fmt.Errorf("%s (id %s): %w", s, s.id, err)
		}
	}()
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	for n, step := range s.scenario.Steps {
		if err := s.do(ctx, n+1, step); err != nil {
			return nil, fmt.Errorf("step %d: %w", n+1, err)
		}
	}
	return s.finish(ctx)
}

func (s *side) begin(ctx context.Context) error {
	s.aliases = NewAliases(s.id)
	s.running, s.volumes, s.steps, s.records = map[string]*cluster.Process{}, map[string]string{}, map[string]any{}, map[string]any{}
	flags := append([]string{"--backend=directory", "--in-flight=wait"}, s.expandAll(s.scenario.Driver)...)
	var err error
	if s.driver, err = s.stage.StartDriver(ctx, s.id, s.driverName(), flags...); err != nil {
		return err
	}
	if _, err := s.objects.Apply(ctx, "", "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+s.id+"}", metav1.PatchOptions{}); err != nil {
		return err
	}
	return s.start()
}

// start starts the programs.
func (s *side) start() error {
	if !s.peer {
		process, err := s.run(s.programs.Own, s.stage.SidecarKubeconfig(), slices.Concat(
			[]string{"--controllers=" + strings.Join(s.scenario.Controllers, ",")},
			s.scenario.Flags, s.scenario.ResizerFlags, s.scenario.OwnFlags))
		for _, controller := range s.scenario.Controllers {
			s.running[controller] = process
		}
		return err
	}
	for _, controller := range s.scenario.Controllers {
		path, flags := s.programs.PeerProvisioner, s.scenario.Flags
		if controller == Resizer {
			path, flags = s.programs.PeerResizer, s.scenario.ResizerFlags
		}
		// Their own limits would only make the comparison slow.
		limits := []string{"--kube-api-qps=1000", "--kube-api-burst=1000"}
		process, err := s.run(path, s.stage.Cluster.Kubeconfig(), append(limits, flags...))
		if err != nil {
			return err
		}
		s.running[controller] = process
	}
	return nil
}

// run starts a program with the flags that all have; those of the scenario win.
func (s *side) run(path, kubeconfig string, flags []string) (*cluster.Process, error) {
	arguments := append([]string{
		"--kubeconfig=" + kubeconfig,
		"--csi-address=" + s.driver.Socket,
		"--timeout=5s",
		"--retry-interval-start=100ms",
		"--retry-interval-max=500ms",
		"-v=5",
	}, s.expandAll(flags)...)
	command := exec.Command(path, arguments...)
	command.Env = slices.Concat(os.Environ(), []string{"POD_NAME=" + s.id, "POD_NAMESPACE=default", "KUBECONFIG="}, s.expandAll(s.scenario.Env))
	return s.stage.Cluster.Run(s.id+"-"+lastPart(path), command)
}

func lastPart(path string) string { return path[strings.LastIndex(path, "/")+1:] }

// kill ends the programs at once.
func (s *side) kill() error {
	var errs []error
	for _, process := range s.running {
		errs = append(errs, process.Kill())
	}
	return errors.Join(errs...)
}

// stop ends all that was started. What the cluster holds ends with it.
func (s *side) stop() error {
	err := s.kill()
	if s.driver != nil && s.driver.Process() != nil {
		err = errors.Join(err, s.driver.Process().Kill())
	}
	return err
}

// finish waits until all is quiet and returns what is compared.
func (s *side) finish(ctx context.Context) (any, error) {
	end, err := s.settle(ctx)
	if err != nil {
		return nil, err
	}
	s.records["end"] = end["objects"]
	delete(end, "objects")
	end["objects"] = s.records
	end["steps"] = s.steps
	programs := map[string]any{}
	for controller, process := range s.running {
		programs[controller] = s.state(process)
	}
	end["programs"] = programs
	return s.aliases.Replace(end)
}

// state tells whether a program runs, or how it has ended.
func (s *side) state(process *cluster.Process) string {
	select {
	case <-process.Done():
		return fmt.Sprintf("has ended: %v", process.Wait())
	default:
		return "runs"
	}
}
