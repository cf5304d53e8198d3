package kube

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

const (
	// podsFollowed is how long a namespace's pods are followed after the last
	// time that somebody asked for it.
	podsFollowed = 10 * time.Minute
	// podsRetry is the pause before a watch of pods that has ended is begun anew.
	podsRetry = time.Second
)

// Pods tells which pods use a claim. Pods are not watched, as there are many and
// the question is rare; but where an answer is waited for, the pods of that one
// namespace are, for a while.
type Pods struct {
	client kubernetes.Interface
	clock  clock.Clock
	// ended is called when a pod of the namespace has ended.
	ended func(namespace string)

	mu       sync.Mutex
	followed map[string]time.Time // until when, by namespace
}

// NewPods returns the port. The function ended is called when a pod of a
// namespace that is followed has ended, and when one might have unseen.
func NewPods(client kubernetes.Interface, c clock.Clock, ended func(namespace string)) *Pods {
	return &Pods{client: client, clock: c, ended: ended, followed: map[string]time.Time{}}
}

// Using returns the names of the pods that use a claim, by name or as a generic
// ephemeral volume, and have not ended.
func (p *Pods) Using(ctx context.Context, claim *corev1.PersistentVolumeClaim) ([]string, error) {
	// Resource version 0: what the API server has in its cache is new enough.
	pods, err := p.client.CoreV1().Pods(claim.Namespace).List(ctx, metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return nil, fmt.Errorf("looking for pods that use claim %s/%s: %w", claim.Namespace, claim.Name, err)
	}
	var using []string
	for i := range pods.Items {
		if pod := &pods.Items[i]; !hasEnded(pod) && uses(pod, claim) {
			using = append(using, pod.Name)
		}
	}
	return using, nil
}

func hasEnded(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

func uses(pod *corev1.Pod, claim *corev1.PersistentVolumeClaim) bool {
	for _, volume := range pod.Spec.Volumes {
		switch {
		case volume.PersistentVolumeClaim != nil && volume.PersistentVolumeClaim.ClaimName == claim.Name:
			return true
		case volume.Ephemeral != nil && pod.Name+"-"+volume.Name == claim.Name && metav1.IsControlledBy(claim, pod):
			return true
		}
	}
	return false
}

// Follow has ended called for the pods of a namespace from now on, for as long as
// Follow is called again every few minutes.
func (p *Pods) Follow(ctx context.Context, namespace string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, running := p.followed[namespace]
	p.followed[namespace] = p.clock.Now().Add(podsFollowed)
	if !running {
		go p.follow(ctx, namespace)
	}
}

// over ends the following of a namespace that nobody has asked for in a while.
func (p *Pods) over(ctx context.Context, namespace string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ctx.Err() == nil && p.clock.Now().Before(p.followed[namespace]) {
		return false
	}
	delete(p.followed, namespace)
	return true
}

func (p *Pods) follow(ctx context.Context, namespace string) {
	for !p.over(ctx, namespace) {
		if err := p.watch(ctx, namespace); err != nil {
			klog.FromContext(ctx).Info("Can't watch pods: what waits for them is looked at again after its back-off", "namespace", namespace, "err", err)
		}
		select {
		case <-ctx.Done():
		case <-p.clock.After(podsRetry):
		}
	}
}

// watch follows the namespace until the watch ends or is over.
func (p *Pods) watch(ctx context.Context, namespace string) error {
	timeout := int64(podsFollowed.Seconds())
	watcher, err := p.client.CoreV1().Pods(namespace).Watch(ctx, metav1.ListOptions{TimeoutSeconds: &timeout})
	if err != nil {
		return err
	}
	defer watcher.Stop()
	// What has ended before the watch began would never be told.
	p.ended(namespace)
	for event := range watcher.ResultChan() {
		pod, ok := event.Object.(*corev1.Pod)
		if ok && (event.Type == watch.Deleted || hasEnded(pod)) {
			p.ended(namespace)
		}
	}
	return nil
}
