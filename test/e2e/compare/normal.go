package compare

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// normalObject takes from an object what says nothing about the sidecar: versions,
// and who has written which field when. Lists whose order means nothing are sorted,
// conditions are told by their type.
func normalObject(object *unstructured.Unstructured) map[string]any {
	content := object.DeepCopy().Object
	metadata, _ := content["metadata"].(map[string]any)
	for _, field := range []string{"managedFields", "resourceVersion", "generation", "creationTimestamp", "uid", "selfLink"} {
		delete(metadata, field)
	}
	if metadata["generateName"] != nil {
		delete(metadata, "name")
	}
	if object.GetKind() == "CSIStorageCapacity" {
		// Row capacity-names: it is told by what it is about, see key.
		delete(metadata, "name")
		delete(metadata, "generateName")
	}
	sortStrings(metadata["finalizers"])
	if claim, ok := at(content, "spec", "claimRef").(map[string]any); ok && claim["resourceVersion"] != nil {
		claim["resourceVersion"] = "(version)"
	}
	if status, ok := content["status"].(map[string]any); ok {
		status["conditions"] = byType(status["conditions"]) // also where there are none
	}
	sortExpressions(at(content, "spec", "nodeAffinity", "required", "nodeSelectorTerms"))
	return content
}

// at returns what is at a path of maps, or nil.
func at(value any, path ...string) any {
	for _, key := range path {
		m, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = m[key]
	}
	return value
}

func sortStrings(list any) {
	if items, ok := list.([]any); ok {
		slices.SortFunc(items, func(a, b any) int { return cmp.Compare(compact(a), compact(b)) })
	}
}

// unused is the condition by which the controller manager tells, some time, that no
// pod uses a claim.
const unused = "Unused"

// byType turns a list of conditions into a map. Their messages are texts, as those of
// events are: only whether there is one is told.
func byType(list any) map[string]any {
	items, _ := list.([]any)
	conditions := map[string]any{}
	for _, item := range items {
		kind, _ := at(item, "type").(string)
		if kind == unused {
			continue
		}
		if condition, ok := item.(map[string]any); ok && condition["message"] != nil && condition["message"] != "" {
			condition["message"] = "(text)"
		}
		conditions[kind] = item
	}
	return conditions
}

// sortExpressions sorts the expressions of each term: all of them must hold.
func sortExpressions(terms any) {
	items, _ := terms.([]any)
	for _, term := range items {
		sortStrings(at(term, "matchExpressions"))
	}
}
