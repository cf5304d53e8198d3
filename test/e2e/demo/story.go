package demo

import (
	"context"
	_ "embed" // the manifests
	"fmt"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

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

// patience bounds each step of the story.
const patience = 30 * time.Second

type story struct {
	*narrator
	stage  *stage.Stage
	driver *stage.Driver
	calls  teller
	volume string
	// mount is where the pod has the volume.
	mount string
}

// tell tells the story up to the point where everything is in use.
func (s *story) tell(ctx context.Context) error {
	if err := s.startPrograms(ctx); err != nil {
		return err
	}
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
	go s.followCalls(ctx)
	return nil
}

func (s *story) waitBound(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := wait.Until(ctx, "the claim is bound", func() (bool, error) {
		claim, err := s.stage.Client.CoreV1().PersistentVolumeClaims(metav1.NamespaceDefault).Get(ctx, "csi-pvc", metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		s.volume = claim.Spec.VolumeName
		return claim.Status.Phase == corev1.ClaimBound, nil
	})
	if err != nil {
		return err
	}
	s.tellCalls(ctx)
	s.line("claim csi-pvc is bound to PersistentVolume " + s.volume)
	return s.showEvents(ctx)
}

// showEvents shows the sidecar's events about the claim. They are sent in the
// background, so the last may still be under way.
func (s *story) showEvents(ctx context.Context) error {
	return wait.Until(ctx, "the claim's events are there", func() (bool, error) {
		events, err := s.stage.Client.CoreV1().Events(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.name=csi-pvc,source!=persistentvolume-controller"})
		if err != nil || len(events.Items) < 2 {
			return false, err
		}
		for _, event := range events.Items {
			s.line(fmt.Sprintf("event on the claim: %s %s: %s", event.Type, event.Reason, event.Message))
		}
		return true, nil
	})
}

func (s *story) runPod(ctx context.Context) error {
	s.chapter("A pod uses the claim; the kubelet stages and publishes the volume")
	if err := s.stage.Apply(ctx, podManifest); err != nil {
		return err
	}
	var pod *corev1.Pod
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := wait.Until(ctx, "the pod runs", func() (found bool, err error) {
		pod, err = s.stage.Client.CoreV1().Pods(metav1.NamespaceDefault).Get(ctx, "app", metav1.GetOptions{})
		return err == nil && pod.Status.Phase == corev1.PodRunning, err
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

// end deletes pod and claim; the volume goes with them.
func (s *story) end(ctx context.Context) error {
	s.chapter("The claim goes, and so does the volume")
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	core := s.stage.Client.CoreV1()
	if s.stage.Kubelet {
		if err := core.Pods(metav1.NamespaceDefault).Delete(ctx, "app", metav1.DeleteOptions{}); err != nil {
			return fmt.Errorf("deleting the pod: %w", err)
		}
	}
	if err := core.PersistentVolumeClaims(metav1.NamespaceDefault).Delete(ctx, "csi-pvc", metav1.DeleteOptions{}); err != nil {
		return fmt.Errorf("deleting the claim: %w", err)
	}
	err := wait.Until(ctx, "the PersistentVolume is gone", func() (bool, error) {
		_, err := core.PersistentVolumes().Get(ctx, s.volume, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		return false, err
	})
	if err != nil {
		return err
	}
	s.tellCalls(ctx)
	volumes, err := s.driver.Control.Volumes(ctx)
	if err != nil {
		return err
	}
	s.line(fmt.Sprintf("PersistentVolume %s is gone; the driver has %d volumes", s.volume, len(volumes)))
	return nil
}
