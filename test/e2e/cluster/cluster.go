// Package cluster runs a real Kubernetes on this machine, for tests: etcd, the
// API server with RBAC, the controller manager, the scheduler and, where there
// is root, a kubelet. The kubelet's container runtime is a fake, pods "run"
// without containers, but their volumes are attached, staged, published and
// expanded for real, by whatever CSI driver registers itself.
//
// A cluster listens on 127.0.0.1 only, lives in one directory, is up within
// seconds, and leaves nothing behind: a guard, a process of its own, kills what
// was started, unmounts what is mounted below the directory, detaches loop
// devices that have their files there and removes the directory, when Stop is
// called and just the same when the starting process dies.
//
// All parts are one program, built from test/e2e/kube: see Binary.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// Names of the components, for Cluster.Component and Options.Arguments.
const (
	Etcd              = "etcd"
	APIServer         = "kube-apiserver"
	ControllerManager = "kube-controller-manager"
	Scheduler         = "kube-scheduler"
	ContainerRuntime  = "container-runtime"
	Kubelet           = "kubelet"
)

// DefaultNodeName is the name of the kubelet's node unless Options say another.
const DefaultNodeName = "racknode01"

// startTimeout bounds Start. A start takes a few seconds, on a machine with two
// busy cores some more; a component that fails ends it at once.
const startTimeout = 3 * time.Minute

// Options say what cluster to start. The zero value is one without a node.
type Options struct {
	// Binary is the path of the kube program. Empty: what the function Binary
	// finds.
	Binary string
	// Dir is the directory of the cluster, empty or yet to be made. It is
	// removed in the end. Empty: a new one for temporary files.
	Dir string
	// NodeName is the name of the kubelet's node. Empty: DefaultNodeName.
	NodeName string
	// Kubelet adds a node, whose kubelet needs root.
	Kubelet bool
	// WithoutControllerManager leaves the controller manager out: nothing binds
	// claims, makes service accounts or finishes the deletion of namespaces.
	WithoutControllerManager bool
	// WithoutScheduler leaves the scheduler out.
	WithoutScheduler bool
	// Audit has the API server log each request to AuditLog, except those of the
	// administrator.
	Audit bool
	// Arguments are additional arguments by component, which follow the
	// cluster's own and so win over them.
	Arguments map[string][]string
	// Progress is told what happens, if it is set.
	Progress func(message string)
}

// A Cluster is a running Kubernetes. Its methods may be called concurrently.
type Cluster struct {
	options    Options
	dir        string
	network    network
	admin      *rest.Config
	client     kubernetes.Interface
	guard      *guard
	components map[string]*Component

	mu      sync.RWMutex // held for reading while a process is started
	stopped bool
}

// Start starts a cluster and returns when it is ready: the API server answers,
// the default service account exists, the node takes pods. The context bounds
// the start, not the cluster's life, which ends with Stop or with this process.
// The error of a component that fails holds the end of its log.
func Start(ctx context.Context, options Options) (*Cluster, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if options.NodeName == "" {
		options.NodeName = DefaultNodeName
	}
	if options.Progress == nil {
		options.Progress = func(string) {}
	}
	c := &Cluster{options: options, components: map[string]*Component{}}
	if err := c.prepare(); err != nil {
		return nil, fmt.Errorf("starting a cluster: %w", err)
	}
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("starting a cluster: %w", err), c.Stop())
	}
	return c, nil
}

// prepare makes the directory, sets the guard on it and writes the files that
// the components need. On error it leaves nothing behind.
func (c *Cluster) prepare() error {
	var err error
	if c.options.Binary == "" {
		if c.options.Binary, err = Binary(); err != nil {
			return err
		}
	}
	if c.options.Kubelet && os.Geteuid() != 0 {
		return errors.New("the kubelet needs root")
	}
	if c.dir, err = makeDir(c.options.Dir); err != nil {
		return err
	}
	if c.guard, err = startGuard(c.options.Binary, c.dir, c.LogFile("guard")); err != nil {
		return errors.Join(err, os.RemoveAll(c.dir))
	}
	if err := c.configure(); err != nil {
		return errors.Join(err, c.Stop())
	}
	return nil
}

// configure chooses the addresses and writes the files that the components need.
func (c *Cluster) configure() error {
	var err error
	if c.network, err = chooseNetwork(); err != nil {
		return err
	}
	if err := c.writeCredentials(); err != nil {
		return fmt.Errorf("writing credentials: %w", err)
	}
	if err := c.writeConfigs(); err != nil {
		return fmt.Errorf("writing configurations: %w", err)
	}
	return nil
}

// Stop ends the cluster and everything that was started with Run, at once, and
// returns when nothing is left of it. A second call does nothing.
func (c *Cluster) Stop() error {
	c.mu.Lock()
	stopped := c.stopped
	c.stopped = true
	c.mu.Unlock()
	if stopped {
		return nil
	}
	c.options.Progress("stopping the cluster")
	return c.guard.release()
}

// Keep makes the end of the cluster, by Stop or otherwise, leave its directory
// in place, so that the logs can be read.
func (c *Cluster) Keep() error { return c.guard.keep() }

// Dir is the cluster's directory. Files, mounts and loop devices of a driver
// that is to leave nothing behind belong below it.
func (c *Cluster) Dir() string { return c.dir }

// LogDir is the directory of all logs.
func (c *Cluster) LogDir() string { return c.path(logs) }

// LogFile is the log of a component, or of a process started with Run.
func (c *Cluster) LogFile(name string) string { return c.path(logs, name+".log") }

// KubeletDir is the kubelet's root directory, which drivers have as
// /var/lib/kubelet on other machines.
func (c *Cluster) KubeletDir() string { return c.path("kubelet") }

// RegistrationDir is where the kubelet looks for the registration sockets of
// drivers.
func (c *Cluster) RegistrationDir() string { return c.path("kubelet", "plugins_registry") }

// NodeName is the name of the kubelet's node.
func (c *Cluster) NodeName() string { return c.options.NodeName }

// Kubeconfig is the path of an administrator's kubeconfig.
func (c *Cluster) Kubeconfig() string { return c.kubeconfig("admin") }

// RESTConfig is an administrator's client configuration, without a limit on
// requests. The caller may change it.
func (c *Cluster) RESTConfig() *rest.Config { return rest.CopyConfig(c.admin) }

// Client is an administrator's client.
func (c *Cluster) Client() kubernetes.Interface { return c.client }

// Component returns the component of that name, one of the constants. It panics
// if the cluster was started without it, which is a mistake in the test.
func (c *Cluster) Component(name string) *Component {
	component, ok := c.components[name]
	if !ok {
		panic(fmt.Sprintf("the cluster has no component %q", name))
	}
	return component
}

func (c *Cluster) path(elements ...string) string {
	return filepath.Join(append([]string{c.dir}, elements...)...)
}
