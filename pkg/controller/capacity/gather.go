package capacity

import (
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	plan "github.com/csi-provisioner/csi-provisioner/pkg/plan/capacity"
)

// gather collects what the decision about a pair depends on.
func (c *Controller) gather(key plan.Key, due bool) (plan.Input, error) {
	class, err := c.deps.Classes.Get(key.Class)
	if apierrors.IsNotFound(err) {
		class = nil
	} else if err != nil {
		return plan.Input{}, fmt.Errorf("reading StorageClass %q: %w", key.Class, err)
	}
	shown, err := c.deps.Objects.CapacitiesFor(key.String())
	if err != nil {
		return plan.Input{}, err
	}
	for i, object := range shown {
		shown[i] = c.written.Newest(object)
	}
	segment, exists := c.deps.Segments.Get(key.Segment)
	return plan.Input{
		Settings: c.config.Settings,
		Class:    class,
		Segment:  segment,
		Exists:   exists,
		Objects:  shown,
		Due:      due,
	}, nil
}
