package demo

import (
	"context"
	_ "embed" // the manifests
	"fmt"
	"path/filepath"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/inventory"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/load"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/stage"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/wait"
)

//go:embed driver.yaml
var driverManifest string

//go:embed story.yaml
var storyManifest string

//go:embed claim.yaml
var claimManifest string

//go:embed pod.yaml
var podManifest string

// The names of what the manifests make, and the size that the claim asks for at first.
const (
	claimName = "csi-pvc"
	podName   = "app"
	requested = "6Gi"
)

// patience bounds each step of the story; on a busy machine things take long.
const (
	patience = time.Minute
	askEvery = 50 * time.Millisecond
)

type story struct {
	*narrator
	stage  *stage.Stage
	api    load.API
	claims load.Claims
	driver *stage.Driver
	calls  teller
	// followers tell of the driver's calls.
	followers sync.WaitGroup
	// volume is the name of the claim's PersistentVolume.
	volume string
	// mount is where the pod has the volume.
	mount string
}

func newStory(n *narrator, s *stage.Stage) *story {
	api := load.API{Client: s.Client, Patience: wait.Patience{For: patience, Every: askEvery}}
	return &story{
		narrator: n, stage: s, api: api, claims: api.Claims(metav1.NamespaceDefault),
		calls: teller{told: map[int64]bool{}},
	}
}

// tell tells the story up to the point where everything is in use.
func (s *story) tell(ctx context.Context) error {
	s.chapter("An administrator makes a Secret, and a class whose parameters name it")
	s.quote(storyManifest)
	if err := s.stage.Apply(ctx, storyManifest); err != nil {
		return err
	}
	s.chapter("A user makes a claim")
	s.quote(claimManifest)
	if err := s.stage.Apply(ctx, claimManifest); err != nil {
		return err
	}
	if err := s.waitBound(ctx); err != nil {
		return err
	}
	if s.stage.Kubelet {
		if err := s.runPod(ctx); err != nil {
			return err
		}
		if err := s.expand(ctx); err != nil {
			return err
		}
	}
	return s.showVolume(ctx)
}

func (s *story) startPrograms(ctx context.Context) error {
	s.chapter("A CSI driver starts, and csi-provisioner beside it")
	if err := s.stage.Apply(ctx, driverManifest); err != nil {
		return err
	}
	credentials, err := s.credentialsFile()
	if err != nil {
		return err
	}
	if s.driver, err = s.stage.StartDriver(ctx, "demo", driverName, "--expand-credentials-file="+credentials); err != nil {
		return err
	}
	info, err := s.driver.Control.Info(ctx)
	if err != nil {
		return err
	}
	s.line(fmt.Sprintf("driver %s, node %s; its volumes are of the kind %q", info.Name, info.NodeID, info.Backend))
	sidecar, err := s.stage.StartSidecar(ctx, "csi-provisioner", s.driver, "--leader-election")
	if err != nil {
		return err
	}
	if err := sidecar.WaitReady(ctx); err != nil {
		return err
	}
	s.line("csi-provisioner is ready, with the rights of deploy/kubernetes/rbac.yaml and no others")
	return nil
}

func (s *story) waitBound(ctx context.Context) error {
	var err error
	if s.volume, err = s.claims.WaitSize(ctx, claimName, requested); err != nil {
		return err
	}
	s.tellCalls(ctx)
	s.line("claim " + claimName + " is bound to PersistentVolume " + s.volume)
	return s.showEvents(ctx)
}

// eventsOfSuccess is the number of events about a claim whose volume is made at the first
// try: one at the beginning, one at the end.
const eventsOfSuccess = 2

// showEvents shows the sidecar's events about the claim. They are sent in the
// background, so the last may still be under way.
func (s *story) showEvents(ctx context.Context) error {
	ofSidecar := metav1.ListOptions{FieldSelector: "source!=persistentvolume-controller,involvedObject.name=" + claimName}
	var events []corev1.Event
	err := s.api.Patience.Try(ctx, "waiting for the claim's events", func() error {
		list, err := s.stage.Client.CoreV1().Events(metav1.NamespaceDefault).List(ctx, ofSidecar)
		if err != nil {
			return err
		}
		if events = list.Items; len(events) < eventsOfSuccess {
			return fmt.Errorf("there are %d", len(events))
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, event := range events {
		s.line(fmt.Sprintf("event on the claim: %s %s: %s", event.Type, event.Reason, event.Message))
	}
	return nil
}

func (s *story) runPod(ctx context.Context) error {
	s.chapter("A pod uses the claim; the kubelet stages and publishes the volume")
	if err := s.stage.Apply(ctx, podManifest); err != nil {
		return err
	}
	var pod *corev1.Pod
	err := s.api.Patience.Try(ctx, "waiting for pod "+podName, func() (err error) {
		pod, err = s.stage.Client.CoreV1().Pods(metav1.NamespaceDefault).Get(ctx, podName, metav1.GetOptions{})
		if err == nil && pod.Status.Phase != corev1.PodRunning {
			return fmt.Errorf("it is %s: %v", pod.Status.Phase, pod.Status.Conditions)
		}
		return err
	})
	if err != nil {
		return err
	}
	s.tellCalls(ctx)
	s.mount = filepath.Join(s.stage.Cluster.KubeletDir(), "pods", string(pod.UID), "volumes", "kubernetes.io~csi", s.volume, "mount")
	return s.showFileSystem(ctx, "the pod runs; df in its volume says")
}

func (s *story) showVolume(ctx context.Context) error {
	volume, err := s.stage.Client.CoreV1().PersistentVolumes().Get(ctx, s.volume, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("reading the PersistentVolume: %w", err)
	}
	volume.ManagedFields = nil
	volume.APIVersion, volume.Kind = "v1", "PersistentVolume"
	content, err := yaml.Marshal(volume)
	if err != nil {
		return fmt.Errorf("writing the PersistentVolume as YAML: %w", err)
	}
	s.chapter("The PersistentVolume: it carries the resolved reference to the Secret")
	s.quote(string(content))
	return nil
}

// end deletes pod and claim, and shows that nothing is left of the volume.
func (s *story) end(ctx context.Context) error {
	s.chapter("The user deletes the pod and the claim; the volume is deleted with the claim")
	if s.stage.Kubelet {
		if err := s.stage.Client.CoreV1().Pods(metav1.NamespaceDefault).Delete(ctx, podName, metav1.DeleteOptions{}); err != nil {
			return fmt.Errorf("deleting the pod: %w", err)
		}
	}
	if err := s.claims.Delete(ctx, claimName); err != nil {
		return err
	}
	reader := inventory.Reader{Client: s.stage.Client, Driver: s.driver, IsUsers: inventory.InNamespace(metav1.NamespaceDefault)}
	if err := reader.WaitEmpty(ctx, s.api.Patience); err != nil {
		return err
	}
	s.tellCalls(ctx)
	s.line("PersistentVolume " + s.volume + " is gone, the driver has no volume, and the journal is empty")
	return nil
}
