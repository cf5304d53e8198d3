package options

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"
)

// NodeDeployment is how a sidecar works that runs beside a driver on each node, for
// the volumes of that node alone.
type NodeDeployment struct {
	Enabled bool
	// Name is the node's.
	Name string
	// Immediate competes with the other nodes for claims that bind immediately.
	Immediate bool
	// BaseDelay and MaxDelay bound the time for which a claim is left to the others.
	BaseDelay, MaxDelay time.Duration
}

func addNode(fs *pflag.FlagSet, c *Config) {
	n := &c.Node
	fs.BoolVar(&n.Enabled, "node-deployment", false, "Run beside the driver on each node, for the volumes of that node alone; needs the environment variable NODE_NAME.")
	fs.BoolVar(&n.Immediate, "node-deployment-immediate-binding", true, "Compete with the sidecars of the other nodes for claims that bind immediately; only with --node-deployment.")
	fs.DurationVar(&n.BaseDelay, "node-deployment-base-delay", 20*time.Second, "Longest time for which a claim that binds immediately is left to the other nodes at first. The more nodes, the longer it should be.")
	fs.DurationVar(&n.MaxDelay, "node-deployment-max-delay", 60*time.Second, "Longest time for which it is left to them after the node could not take it.")
}

// settleNode fills in what is not a flag's plain value. controllers tells whether
// --controllers is given: by default a node's sidecar provisions only, as the place
// of external-resizer is not on the nodes.
func settleNode(c *Config, r *raw, environment func(string) string, controllers bool) {
	c.Node.Name = environment("NODE_NAME")
	if c.Node.Enabled && !controllers {
		r.controllers = []string{controllerProvisioner}
	}
}

func validateNode(c Config) []error {
	n := c.Node
	var errs []error
	if n.BaseDelay <= 0 {
		errs = append(errs, fmt.Errorf("--node-deployment-base-delay=%s: must be longer than 0", n.BaseDelay))
	}
	if n.MaxDelay < n.BaseDelay {
		errs = append(errs, fmt.Errorf("--node-deployment-max-delay=%s: must not be shorter than --node-deployment-base-delay=%s", n.MaxDelay, n.BaseDelay))
	}
	if !n.Enabled {
		return errs
	}
	if n.Name == "" {
		errs = append(errs, errors.New("--node-deployment: the environment variable NODE_NAME is not set: set it from the field spec.nodeName of the pod"))
	}
	if c.Controllers.Resizer {
		errs = append(errs, errors.New("--node-deployment: belongs to the provisioner, and --controllers names the resizer: expand and modify volumes with a sidecar beside the driver's controller service"))
	}
	if c.LeaderElection.Enabled {
		errs = append(errs, errors.New("--leader-election: must not be given with --node-deployment, where the sidecar of each node works for itself: one of them would work, and no claim of the other nodes would be provisioned"))
	}
	return errs
}
