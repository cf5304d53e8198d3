package compare

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// others are the components of Kubernetes itself that report events.
func others() []string {
	return []string{"persistentvolume-controller", "volume_expand", "default-scheduler", "attachdetach-controller", "kubelet"}
}

// normalEvents tells the types of the sidecar's events by object and reason. Their
// texts are this project's own (row event-texts), and most of their counts depend
// on time.
func normalEvents(events []corev1.Event, counts bool) map[string]any {
	tree := map[string]any{}
	for _, event := range events {
		if slices.Contains(others(), event.Source.Component) || slices.Contains(others(), event.ReportingController) {
			continue
		}
		object := event.InvolvedObject.Kind + " " + event.InvolvedObject.Name
		reasons, ok := tree[object].(map[string]any)
		if !ok {
			reasons = map[string]any{}
			tree[object] = reasons
		}
		told, ok := reasons[event.Reason].(map[string]any)
		if !ok {
			told = map[string]any{}
			reasons[event.Reason] = told
		}
		sum, _ := told[event.Type].(int)
		told[event.Type] = sum + int(max(event.Count, 1))
	}
	if !counts {
		withoutCounts(tree)
	}
	return tree
}

// withoutCounts puts "reported" in the place of each count.
func withoutCounts(tree map[string]any) {
	for key, value := range tree {
		if deeper, ok := value.(map[string]any); ok {
			withoutCounts(deeper)
			continue
		}
		tree[key] = "reported"
	}
}
