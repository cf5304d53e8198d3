package capability

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// fields are those of a set, by the names that the CSI specification gives them.
// EXPAND_VOLUME is the controller's and the node's.
func (s *Set) fields() map[string][]*bool {
	return map[string][]*bool{
		"CONTROLLER_SERVICE":               {&s.ControllerService},
		"VOLUME_ACCESSIBILITY_CONSTRAINTS": {&s.Topology},
		"CREATE_DELETE_VOLUME":             {&s.CreateDelete},
		"PUBLISH_UNPUBLISH_VOLUME":         {&s.PublishUnpublish},
		"SINGLE_NODE_MULTI_WRITER":         {&s.SingleNodeMultiWriter},
		"EXPAND_VOLUME":                    {&s.ControllerExpand, &s.NodeExpand},
		"MODIFY_VOLUME":                    {&s.Modify},
		"CREATE_DELETE_SNAPSHOT":           {&s.Snapshot},
		"CLONE_VOLUME":                     {&s.Clone},
		"GET_CAPACITY":                     {&s.GetCapacity},
	}
}

// AllBut returns the set of a driver that reports all capabilities but those with
// these names. The error names one that is unknown.
func AllBut(without []string) (Set, error) {
	var s Set
	fields := s.fields()
	for _, name := range without {
		if _, known := fields[name]; !known {
			return Set{}, fmt.Errorf("unknown capability %q: known are %s", name, strings.Join(slices.Sorted(maps.Keys(fields)), ", "))
		}
	}
	for name, values := range fields {
		for _, value := range values {
			*value = !slices.Contains(without, name)
		}
	}
	return s, nil
}
