package kube

import (
	"context"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/record"
)

// maxEventMessage is the length in bytes that the API server takes for the note
// of an event (events.k8s.io/v1).
const maxEventMessage = 1024

// Events sends events in the background. When there are more than the API
// server takes, some are dropped: an event never delays a volume.
type Events struct {
	broadcaster record.EventBroadcaster
	recorder    record.EventRecorder
}

// NewEvents returns a sender whose events name the component as their source.
func NewEvents(ctx context.Context, client kubernetes.Interface, component string) *Events {
	broadcaster := record.NewBroadcaster(record.WithContext(ctx))
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: client.CoreV1().Events("")})
	return &Events{
		broadcaster: broadcaster,
		recorder:    broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: component}),
	}
}

// Normal reports that something went as it should.
func (e *Events) Normal(object runtime.Object, reason, message string) {
	e.recorder.Event(object, corev1.EventTypeNormal, reason, truncate(message))
}

// Warning reports what somebody has to fix.
func (e *Events) Warning(object runtime.Object, reason, message string) {
	e.recorder.Event(object, corev1.EventTypeWarning, reason, truncate(message))
}

// Recorder is for libraries that send events of their own.
func (e *Events) Recorder() record.EventRecorder { return e.recorder }

// Shutdown stops sending; what has not been sent is dropped.
func (e *Events) Shutdown() { e.broadcaster.Shutdown() }

func truncate(message string) string {
	const ellipsis = "…"
	if len(message) <= maxEventMessage {
		return message
	}
	cut := maxEventMessage - len(ellipsis)
	for cut > 0 && !utf8.RuneStart(message[cut]) {
		cut--
	}
	return message[:cut] + ellipsis
}
