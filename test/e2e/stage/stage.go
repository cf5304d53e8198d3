package stage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/cluster"
)

// Options of a stage.
type Options struct {
	// Kubelet runs a real kubelet, which needs root; without it there is a node
	// by hand.
	Kubelet bool
	// Bare leaves out who binds claims and who schedules pods, for measurements:
	// claims must name the driver in their annotation themselves.
	Bare bool
	// Audit has the API server log the requests of the sidecars.
	Audit bool
	// Arguments are additional ones of the cluster's components.
	Arguments map[string][]string
	// Progress is told what happens; nobody when nil.
	Progress func(message string)
}

// Stage is a cluster with what belongs to the sidecar.
type Stage struct {
	Cluster *cluster.Cluster
	Client  kubernetes.Interface
	// Kubelet tells whether the node has one.
	Kubelet bool

	top        string // of the repository
	kubeconfig string // of the sidecar's service account
	registrars sync.Mutex
	// nodeKubeconfig is that of who has the rights for node deployment.
	nodeKubeconfig string
}

// serviceAccount is that of deploy/kubernetes/rbac.yaml.
const serviceAccount = "csi-provisioner"

// Open starts the cluster and grants the sidecar its rights.
func Open(ctx context.Context, options Options) (*Stage, error) {
	kube, err := cluster.Binary()
	if err != nil {
		return nil, err
	}
	c, err := cluster.Start(ctx, cluster.Options{
		Binary: kube, Kubelet: options.Kubelet, Progress: options.Progress,
		WithoutControllerManager: options.Bare, WithoutScheduler: options.Bare,
		Audit: options.Audit, Arguments: options.Arguments,
	})
	if err != nil {
		return nil, err
	}
	s := &Stage{
		Cluster: c,
		Client:  c.Client(),
		Kubelet: options.Kubelet,
		top:     filepath.Dir(filepath.Dir(kube)),
	}
	if err := s.furnish(ctx); err != nil {
		_ = c.Stop()
		return nil, err
	}
	return s, nil
}

func (s *Stage) furnish(ctx context.Context) error {
	if err := s.addKinds(ctx); err != nil {
		return err
	}
	rights, err := os.ReadFile(filepath.Join(s.Manifests(), "rbac.yaml"))
	if err != nil {
		return fmt.Errorf("reading the sidecar's rights: %w", err)
	}
	if err := s.Apply(ctx, string(rights)); err != nil {
		return err
	}
	if s.kubeconfig, err = s.Cluster.KubeconfigFor(ctx, metav1.NamespaceDefault, serviceAccount); err != nil {
		return err
	}
	if !s.Kubelet {
		return s.Cluster.AddNode(ctx, s.Cluster.NodeName(), nil)
	}
	return nil
}

// Close ends the cluster and all that runs in it.
func (s *Stage) Close() error { return s.Cluster.Stop() }

// End closes the stage, and keeps the logs if wanted.
func (s *Stage) End(keepLogs bool, progress func(message string)) error {
	var err error
	if keepLogs {
		progress("the logs are kept in " + s.Cluster.LogDir())
		err = s.Cluster.Keep()
	}
	return errors.Join(err, s.Close())
}

// Logs is what becomes of a stage's logs.
type Logs struct {
	// Keep keeps them also when nothing has failed.
	Keep bool
	// Tell is told where they are, if they are kept.
	Tell func(message string)
}

// With runs something on a stage that is opened for it, and closes the stage. The logs
// are kept after a failure, and removed after an interruption, unless they are to be kept
// anyway.
func With(ctx context.Context, options Options, logs Logs, run func(*Stage) error) (err error) {
	s, err := Open(ctx, options)
	if err != nil {
		return err
	}
	defer func() {
		failed := err != nil && !Interrupted(ctx, err)
		err = errors.Join(err, s.End(logs.Keep || failed, logs.Tell))
	}()
	return run(s)
}

// Interrupted reports whether an error is only that the context has ended.
func Interrupted(ctx context.Context, err error) bool {
	return ctx.Err() != nil && (errors.Is(err, ctx.Err()) || errors.Is(err, context.Cause(ctx)))
}

// Manifests returns the path of the directory with what a user applies.
func (s *Stage) Manifests() string { return filepath.Join(s.top, "deploy", "kubernetes") }

// Program returns the path of one of the programs in bin/.
func (s *Stage) Program(name string) string { return filepath.Join(s.top, "bin", name) }

// SidecarKubeconfig is the path of a kubeconfig with the rights of the sidecar's
// service account.
func (s *Stage) SidecarKubeconfig() string { return s.kubeconfig }
