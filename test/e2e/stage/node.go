package stage

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/proxy"
)

// nodeServiceAccount is that of deploy/kubernetes/node-rbac.yaml.
const nodeServiceAccount = "csi-provisioner-node"

// nodeRights grants the rights for node deployment, and returns the kubeconfig of
// who has them.
func (s *Stage) nodeRights(ctx context.Context) (string, error) {
	s.registrars.Lock()
	defer s.registrars.Unlock()
	if s.nodeKubeconfig != "" {
		return s.nodeKubeconfig, nil
	}
	rights, err := os.ReadFile(filepath.Join(s.top, "deploy", "kubernetes", "node-rbac.yaml"))
	if err != nil {
		return "", fmt.Errorf("reading the rights for node deployment: %w", err)
	}
	if err := s.Apply(ctx, string(rights)); err != nil {
		return "", err
	}
	s.nodeKubeconfig, err = s.Cluster.KubeconfigFor(ctx, metav1.NamespaceDefault, nodeServiceAccount)
	return s.nodeKubeconfig, err
}

// NodeProxy starts a proxy between the sidecars of nodes and the API server, with the
// rights for node deployment. The caller closes it.
func (s *Stage) NodeProxy(ctx context.Context) (*proxy.Proxy, error) {
	kubeconfig, err := s.nodeRights(ctx)
	if err != nil {
		return nil, err
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig for node deployment: %w", err)
	}
	return proxy.Start(config) //nolint:contextcheck // it lives until it is closed
}

// StartNodeDriver starts the driver of one node of several, which is a node made by
// hand: its volumes can be on that node only. The id is short and its own; the name
// is the same on all nodes.
func (s *Stage) StartNodeDriver(ctx context.Context, id, name, node string, flags ...string) (*Driver, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	d, err := s.newDriver(id, name, node)
	if err != nil {
		return nil, err
	}
	place := d.TopologyKey + "=" + node
	d.command = append(d.command, "--backend=directory", "--segments="+place, "--topologies="+place)
	d.command = append(d.command, flags...)
	return d, d.Start(ctx)
}

// StartNodeSidecar starts the sidecar of a node, with the rights for node deployment.
func (s *Stage) StartNodeSidecar(ctx context.Context, name, node string, driver *Driver, flags ...string) (*Sidecar, error) {
	kubeconfig, err := s.nodeRights(ctx)
	if err != nil {
		return nil, err
	}
	run := sidecarRun{program: s.Program("csi-provisioner"), name: name, kubeconfig: kubeconfig, environment: []string{"NODE_NAME=" + node}}
	return s.startSidecar(ctx, run, driver, append([]string{"--node-deployment"}, flags...))
}
