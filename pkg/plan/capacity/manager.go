package capacity

import (
	"fmt"
	"hash/fnv"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
)

const (
	// maxLabel is the length that a label's value may have.
	maxLabel = 63
	// hashed is the length of a hash with a hyphen before it, and after it.
	hashed = 10
)

// ManagedBy returns the value of the label names.CapacityManagedBy: the same for
// all replicas, and in node deployment one for each node. The values, also of
// nodes whose names are too long for a label, are those of external-provisioner,
// whose objects are taken over by them.
func ManagedBy(nodeName string) string {
	if nodeName == "" {
		return names.CapacityManager
	}
	full := names.CapacityManager + "-" + nodeName
	if len(full) <= maxLabel {
		return full
	}
	if room := maxLabel - hashed - len(nodeName); room > 0 {
		return fmt.Sprintf("%s-%s-%s", names.CapacityManager[:room], digest(names.CapacityManager), nodeName)
	}
	return fmt.Sprintf("%s-%s", names.CapacityManager, digest(full))
}

func digest(text string) string {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(text)) // never fails
	return fmt.Sprintf("%08x", hash.Sum32())
}
