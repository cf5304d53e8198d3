package cluster_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/cluster"
)

// soon is how long a controller may take for its part.
const soon = 20 * time.Second

// TestCluster tests what a cluster does, all on one.
func TestCluster(t *testing.T) {
	c := start(t, cluster.Options{Kubelet: os.Geteuid() == 0})
	for name, test := range map[string]func(*testing.T, *cluster.Cluster){
		"a claim binds":                     testClaimBinds,
		"a pod runs":                        testPodRuns,
		"nothing of ours is a log":          testWorkingDirectory,
		"a service account has its rights":  testServiceAccount,
		"a pod is scheduled to a made node": testMadeNode,
		"a made node has several drivers":   testMadeCSINode,
		"components pause, die and restart": testComponents,
	} {
		t.Run(name, func(t *testing.T) { test(t, c) })
	}
}

func testClaimBinds(t *testing.T, c *cluster.Cluster) {
	ctx, class := t.Context(), ""
	capacity := corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
	modes := []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
	volume := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "made"},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:    capacity,
			AccessModes: modes,
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				HostPath: &corev1.HostPathVolumeSource{Path: "/nowhere"},
			},
		},
	}
	if _, err := c.Client().CoreV1().PersistentVolumes().Create(ctx, volume, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	claims := c.Client().CoreV1().PersistentVolumeClaims(metav1.NamespaceDefault)
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: "claim"},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: &class,
			AccessModes:      modes,
			Resources:        corev1.VolumeResourceRequirements{Requests: capacity},
		},
	}
	if _, err := claims.Create(ctx, claim, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, soon, func() error {
		claim, err := claims.Get(ctx, "claim", metav1.GetOptions{})
		if err == nil && claim.Status.Phase != corev1.ClaimBound {
			err = fmt.Errorf("the claim is %s", claim.Status.Phase)
		}
		return err
	})
}

// testPodRuns runs a pod with a volume that the kubelet mounts by itself.
func testPodRuns(t *testing.T, c *cluster.Cluster) {
	if os.Geteuid() != 0 {
		t.Skip("a kubelet needs root")
	}
	ctx := t.Context()
	pods := c.Client().CoreV1().Pods(metav1.NamespaceDefault)
	made, err := pods.Create(ctx, pod("runs", c.NodeName()), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, soon, func() error {
		pod, err := pods.Get(ctx, "runs", metav1.GetOptions{})
		if err == nil && pod.Status.Phase != corev1.PodRunning {
			err = fmt.Errorf("the pod is %s", pod.Status.Phase)
		}
		return err
	})
	volume := filepath.Join(c.KubeletDir(), "pods", string(made.UID), "volumes/kubernetes.io~empty-dir/scratch")
	if _, err := os.Stat(volume); err != nil {
		t.Errorf("the pod's volume is not there: %v", err)
	}
	if err := pods.Delete(ctx, "runs", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, soon, func() error {
		_, err := pods.Get(ctx, "runs", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("the pod is still there (%w)", err)
	})
}

// testWorkingDirectory sees to it that the kubelet, which removes files of its
// working directory, has none of anybody there.
func testWorkingDirectory(t *testing.T, c *cluster.Cluster) {
	if os.Geteuid() != 0 {
		t.Skip("a kubelet needs root")
	}
	pid := c.Component(cluster.Kubelet).Process().Pid()
	dir, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Dir(dir) != c.Dir() {
		t.Errorf("the kubelet works in %s, outside of the cluster's directory", dir)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) > 0 {
		t.Errorf("the kubelet would remove %v", entries)
	}
}

// pod has the settings of a pod in this cluster, and a volume in memory.
func pod(name, node string) *corev1.Pod {
	no, grace := false, int64(1)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PodSpec{
			NodeSelector:                  map[string]string{corev1.LabelHostname: node},
			HostNetwork:                   true,
			AutomountServiceAccountToken:  &no,
			TerminationGracePeriodSeconds: &grace,
			Tolerations:                   []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
			Containers: []corev1.Container{{
				Name:         "main",
				Image:        "none",
				VolumeMounts: []corev1.VolumeMount{{Name: "scratch", MountPath: "/scratch"}},
			}},
			Volumes: []corev1.Volume{{
				Name: "scratch",
				VolumeSource: corev1.VolumeSource{
					EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory},
				},
			}},
		},
	}
}

func testMadeNode(t *testing.T, c *cluster.Cluster) {
	ctx := t.Context()
	labels := map[string]string{corev1.LabelHostname: "made", "topology.example/rack": "r1"}
	if err := c.AddNode(ctx, "made", labels); err != nil {
		t.Fatal(err)
	}
	pods := c.Client().CoreV1().Pods(metav1.NamespaceDefault)
	waits := pod("waits", "made")
	waits.Spec.Tolerations = nil
	if _, err := pods.Create(ctx, waits, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, soon, func() error {
		pod, err := pods.Get(ctx, "waits", metav1.GetOptions{})
		if err == nil && pod.Spec.NodeName != "made" {
			err = fmt.Errorf("the pod is on node %q", pod.Spec.NodeName)
		}
		return err
	})
	if err := pods.Delete(ctx, "waits", *metav1.NewDeleteOptions(0)); err != nil {
		t.Error(err)
	}
}

func testMadeCSINode(t *testing.T, c *cluster.Cluster) {
	ctx := t.Context()
	for _, driver := range []string{"one.example", "two.example"} {
		if err := c.AddCSINode(ctx, "virtual", driver, "id-"+driver, driver+"/rack"); err != nil {
			t.Fatal(err)
		}
	}
	node, err := c.Client().StorageV1().CSINodes().Get(ctx, "virtual", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(node.Spec.Drivers) != 2 || node.Spec.Drivers[1].NodeID != "id-two.example" {
		t.Errorf("the node has the drivers %v", node.Spec.Drivers)
	}
}

func testComponents(t *testing.T, c *cluster.Cluster) {
	server := c.Component(cluster.APIServer)
	version := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		return c.Client().CoreV1().RESTClient().Get().AbsPath("/version").Do(ctx).Error()
	}
	for range 20 {
		if err := server.Pause(); err != nil {
			t.Fatal(err)
		}
		if running := runningThreads(t, server.Process().Pid()); len(running) > 0 {
			t.Errorf("threads of a paused API server run: %v", running)
		}
		if err := server.Resume(); err != nil {
			t.Fatal(err)
		}
	}
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	if err := version(); err == nil {
		t.Error("a paused API server answers")
	}
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
	eventually(t, soon, version)

	names := []string{cluster.Etcd, cluster.APIServer, cluster.ControllerManager, cluster.Scheduler}
	if os.Geteuid() == 0 {
		names = append(names, cluster.Kubelet)
	}
	for _, name := range names {
		before := c.Component(name).Process()
		if err := c.Component(name).Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if before.Pid() == c.Component(name).Process().Pid() {
			t.Errorf("%s was not restarted", name)
		}
	}
	if err := version(); err != nil {
		t.Errorf("a restarted API server: %v", err)
	}
}

// runningThreads returns the threads of a process that have not stopped, with their
// states.
func runningThreads(t *testing.T, pid int) []string {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(files) == 0 {
		t.Fatalf("finding the threads of process %d: %v", pid, err)
	}
	var running []string
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, state, _ := strings.Cut(string(content), ") "); !strings.HasPrefix(state, "T") {
			running = append(running, file+" "+state[:1])
		}
	}
	return running
}
