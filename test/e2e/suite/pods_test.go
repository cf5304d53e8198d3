package suite

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// podVolume is the name of the volume in the pods of the tests.
const podVolume = "data"

// pod makes a pod that uses a claim; it is deleted with the test, before the
// driver ends. No controller attaches volumes here, so that the driver must not
// ask for it.
func (s *scene) pod(name string, claim *corev1.PersistentVolumeClaim) *corev1.Pod {
	s.Helper()
	return s.makePod(podWith(name, claim))
}

func (s *scene) makePod(pod *corev1.Pod) *corev1.Pod {
	s.Helper()
	s.apply(fmt.Sprintf("apiVersion: storage.k8s.io/v1\nkind: CSIDriver\nmetadata: {name: %s}\nspec: {attachRequired: false}", s.driver.Name))
	s.until("the namespace has a service account", func() (bool, error) {
		_, err := shared.Client.CoreV1().ServiceAccounts(s.id).Get(s.ctx, "default", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		return err == nil, err
	})
	made, err := shared.Client.CoreV1().Pods(s.id).Create(s.ctx, pod, metav1.CreateOptions{})
	s.must(err)
	s.Cleanup(func() { s.deletePod(pod.Name) })
	return made
}

func podWith(name string, claim *corev1.PersistentVolumeClaim) *corev1.Pod {
	automount, grace := false, int64(0)
	container := corev1.Container{Name: "app", Image: "app"}
	if mode := claim.Spec.VolumeMode; mode != nil && *mode == corev1.PersistentVolumeBlock {
		container.VolumeDevices = []corev1.VolumeDevice{{Name: podVolume, DevicePath: "/dev/data"}}
	} else {
		container.VolumeMounts = []corev1.VolumeMount{{Name: podVolume, MountPath: "/data"}}
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PodSpec{
			HostNetwork:                   true,
			AutomountServiceAccountToken:  &automount,
			TerminationGracePeriodSeconds: &grace,
			Tolerations:                   []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
			Containers:                    []corev1.Container{container},
			Volumes: []corev1.Volume{{Name: podVolume, VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim.Name},
			}}},
		},
	}
}

// running waits until the pod runs, which takes a kubelet.
func (s *scene) running(name string) *corev1.Pod {
	s.Helper()
	var pod *corev1.Pod
	s.Cleanup(func() {
		if s.Failed() {
			s.logEvents(name)
		}
	})
	s.until("pod "+name+" runs", func() (bool, error) {
		var err error
		pod, err = shared.Client.CoreV1().Pods(s.id).Get(s.ctx, name, metav1.GetOptions{})
		return err == nil && pod.Status.Phase == corev1.PodRunning, err
	})
	return pod
}

// logEvents shows what has happened to an object.
func (s *scene) logEvents(name string) {
	s.Helper()
	ctx := context.WithoutCancel(s.ctx)
	events, err := shared.Client.CoreV1().Events(s.id).List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.name=" + name})
	if err != nil {
		s.Log(err)
		return
	}
	for _, event := range events.Items {
		s.Logf("event about %s: %s: %s", name, event.Reason, event.Message)
	}
}

// deletePod deletes a pod and waits until it is gone; it need not be there. It
// works in a test's Cleanup, too.
func (s *scene) deletePod(name string) {
	s.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), patience)
	defer cancel()
	clean := *s
	clean.ctx = ctx
	now := int64(0)
	err := shared.Client.CoreV1().Pods(s.id).Delete(ctx, name, metav1.DeleteOptions{GracePeriodSeconds: &now})
	if err != nil && !apierrors.IsNotFound(err) {
		s.Error(err)
		return
	}
	clean.until("pod "+name+" is gone", func() (bool, error) {
		_, err := shared.Client.CoreV1().Pods(s.id).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		return false, err
	})
}

// mounted returns the file system and its options that are mounted at a path;
// empty when there is none.
func (s *scene) mounted(path string) (fsType, options string) {
	s.Helper()
	file, err := os.Open("/proc/self/mountinfo")
	s.must(err)
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		const point, pointOptions = 4, 5
		before, after, _ := strings.Cut(lines.Text(), " - ")
		if fields := strings.Fields(before); len(fields) > pointOptions && fields[point] == path {
			fsType, options = strings.Fields(after)[0], fields[pointOptions]
		}
	}
	return fsType, options
}
