package bench

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/cluster"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/figures"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/load"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/stage"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/wait"
)

const (
	driverName = "bench.example"
	className  = "bench"
	namespace  = metav1.NamespaceDefault
	// hands is how many requests the scene has under way at one time.
	hands = 64
)

// scene is a cluster in which contenders are measured.
type scene struct {
	stage  *stage.Stage
	client kubernetes.Interface
	// sidecar is a client with the rights of the contenders.
	sidecar kubernetes.Interface
	socket  string
	log     *requestLog
	// volumes and nodes are how many there are beside what is measured.
	volumes, nodes int
	// turn counts the samples.
	turn int
	// aftermath is how long a contender has for what follows the last write that is
	// waited for: events, records.
	aftermath time.Duration
}

// onScene runs something on a new scene.
func onScene(ctx context.Context, options Options, do func(*scene) error) error {
	open := stage.Options{
		Bare: true, Audit: true,
		// Otherwise what has been measured can be removed only by a controller manager.
		Arguments: map[string][]string{cluster.APIServer: {"--disable-admission-plugins=StorageObjectInUseProtection"}},
	}
	return stage.With(ctx, open, stage.Logs{Keep: options.KeepLogs, Tell: options.Progress}, func(st *stage.Stage) error {
		s, err := newScene(ctx, st)
		if err != nil {
			return err
		}
		defer s.log.close()
		s.aftermath = options.scale().aftermath
		stop, err := serveDriver(driverName, s.socket)
		if err != nil {
			return err
		}
		defer stop()
		return do(s)
	})
}

func newScene(ctx context.Context, st *stage.Stage) (*scene, error) {
	config, err := clientcmd.BuildConfigFromFlags("", st.SidecarKubeconfig())
	if err != nil {
		return nil, fmt.Errorf("reading the sidecar's kubeconfig: %w", err)
	}
	config.QPS = -1
	config.ContentType = "application/vnd.kubernetes.protobuf"
	sidecar, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	s := &scene{stage: st, client: st.Client, sidecar: sidecar, socket: filepath.Join(st.Cluster.Dir(), "csi.sock")}
	if s.log, err = openRequestLog(st.Cluster.AuditLog()); err != nil {
		return nil, err
	}
	label := fmt.Appendf(nil, `{"metadata":{"labels":{%q:"node"}}}`, corev1.LabelHostname)
	if _, err := st.Client.CoreV1().Nodes().Patch(ctx, st.Cluster.NodeName(), types.MergePatchType, label, metav1.PatchOptions{}); err != nil {
		return nil, fmt.Errorf("labelling the node: %w", err)
	}
	if err := st.Cluster.AddCSINode(ctx, st.Cluster.NodeName(), driverName, "node", corev1.LabelHostname); err != nil {
		return nil, err
	}
	class := load.NewClass(className, driverName, corev1.PersistentVolumeReclaimDelete)
	return s, (load.API{Client: s.client}).CreateClass(ctx, class)
}

// each does something n times, some of it at one time.
func each(ctx context.Context, n, atOnce int, do func(ctx context.Context, n int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i := range n {
		group.Go(func() error { return do(ctx, i) })
	}
	return group.Wait()
}

const (
	lookEvery = 50 * time.Millisecond
	// patience bounds a sample.
	patience = 3 * time.Minute
)

// await waits until something is so, as long as the programs run.
func (r *run) await(ctx context.Context, every time.Duration, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		if err := r.ended(); err != nil {
			return err
		}
		if err := sleep(ctx, every); err != nil {
			return err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	if !wait.Sleep(ctx, d) {
		return context.Cause(ctx)
	}
	return nil
}

// serverCPU returns what the API server and etcd have used so far, in milliseconds.
func (s *scene) serverCPU() (float64, error) {
	var sum float64
	for _, name := range []string{cluster.APIServer, cluster.Etcd} {
		used, err := figures.CPU(s.stage.Cluster.Component(name).Process().Pid())
		if err != nil {
			return 0, err
		}
		sum += figures.Milliseconds(used)
	}
	return sum, nil
}
