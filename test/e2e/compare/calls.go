package compare

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
)

// noVolume is where the calls are that are about no volume.
const noVolume = "(no volume)"

// questions are the methods that ask what the driver is. One program asks other
// than two.
func questions() []string {
	return []string{"Probe", "GetPluginInfo", "GetPluginCapabilities", "ControllerGetCapabilities", "NodeGetCapabilities", "NodeGetInfo"}
}

// normalCalls tells the calls by volume: their order with how they ended, and the
// different requests of each method. A call that is repeated is told with a star: how
// often depends on time. So does whether external-provisioner deletes a volume once
// more after it is deleted, when its cache shows the PersistentVolume still; that is
// told as one call.
func normalCalls(calls []control.Call) (map[string]any, error) {
	volumes := map[string][]control.Call{}
	names := map[string]string{} // by handle; the driver forgets volumes it has deleted
	for _, call := range calls {
		if call.VolumeName != "" && call.VolumeID != "" {
			names[call.VolumeID] = call.VolumeName
		}
		if !slices.Contains(questions(), call.Method) {
			volume := cmp.Or(call.VolumeName, names[call.VolumeID], call.VolumeID, noVolume)
			volumes[volume] = append(volumes[volume], call)
		}
	}
	tree := map[string]any{}
	for volume, of := range volumes {
		requests, err := normalRequests(of)
		if err != nil {
			return nil, err
		}
		entry := map[string]any{}
		if volume != noVolume {
			entry["order"] = order(of)
		} else {
			// What is asked at the same time comes in any order.
			slices.SortFunc(requests, func(a, b request) int { return cmp.Compare(compact(a.content), compact(b.content)) })
		}
		for key, content := range number(requests) {
			entry[key] = content
		}
		tree[volume] = entry
	}
	return tree, nil
}

// order tells the calls for a volume, and their ends.
func order(calls []control.Call) string {
	var parts []string
	var last string
	for _, call := range calls {
		this := call.Method + " " + end(call)
		key := this + string(call.Request)
		if key == last {
			if this != "DeleteVolume OK" {
				parts[len(parts)-1] = this + "*"
			}
			continue
		}
		parts, last = append(parts, this), key
	}
	return strings.Join(parts, ", ")
}

func end(call control.Call) string {
	switch {
	case call.Finished.IsZero() && !call.Abandoned:
		return "running"
	case call.Abandoned:
		return "given up"
	}
	return call.Code.String()
}

// A request is what one was sent with.
type request struct {
	method  string
	content map[string]any
}

// normalRequests are the different requests, in their order.
func normalRequests(calls []control.Call) ([]request, error) {
	var requests []request
	for _, call := range calls {
		var content map[string]any
		if err := json.Unmarshal(call.Request, &content); err != nil {
			return nil, fmt.Errorf("decoding the request of %s: %w", call.Method, err)
		}
		if len(call.Secrets) > 0 {
			content["secrets"] = toTree(maps.Clone(call.Secrets))
		}
		this := request{method: call.Method, content: content}
		if !slices.ContainsFunc(requests, func(r request) bool {
			return r.method == this.method && compact(r.content) == compact(this.content)
		}) {
			requests = append(requests, this)
		}
	}
	return requests, nil
}

// number names requests by their methods, "CreateVolume" and "CreateVolume 2".
func number(requests []request) map[string]any {
	named := map[string]any{}
	counts := map[string]int{}
	for _, r := range requests {
		counts[r.method]++
		key := r.method
		if counts[r.method] > 1 {
			key = fmt.Sprintf("%s %d", key, counts[r.method])
		}
		named[key] = r.content
	}
	return named
}

func toTree(texts map[string]string) map[string]any {
	tree := map[string]any{}
	for key, value := range texts {
		tree[key] = value
	}
	return tree
}
