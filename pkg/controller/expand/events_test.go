package expand_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller/expand"
	"github.com/csi-provisioner/csi-provisioner/pkg/names"
)

func in(status corev1.ClaimResourceStatus) func(*corev1.PersistentVolumeClaim) {
	return func(c *corev1.PersistentVolumeClaim) {
		c.Status.AllocatedResourceStatuses = nil
		if status != "" {
			c.Status.AllocatedResourceStatuses = map[corev1.ResourceName]corev1.ClaimResourceStatus{corev1.ResourceStorage: status}
		}
	}
}

func changed(by ...func(*corev1.PersistentVolumeClaim)) *corev1.PersistentVolumeClaim {
	claim := newClaim()
	for _, change := range by {
		change(claim)
	}
	return claim
}

type change = func(*corev1.PersistentVolumeClaim)

func TestWants(t *testing.T) {
	condition := func(kind corev1.PersistentVolumeClaimConditionType) change {
		return func(c *corev1.PersistentVolumeClaim) {
			c.Status.Conditions = []corev1.PersistentVolumeClaimCondition{{Type: kind, Status: corev1.ConditionTrue}}
		}
	}
	capacity := func(size string) change {
		return func(c *corev1.PersistentVolumeClaim) { c.Status.Capacity = sized(size) }
	}
	request := func(size string) change {
		return func(c *corev1.PersistentVolumeClaim) { c.Spec.Resources.Requests = sized(size) }
	}
	allocated := func(c *corev1.PersistentVolumeClaim) { c.Status.AllocatedResources = sized("7Gi") }
	unbound := func(c *corev1.PersistentVolumeClaim) { c.Status.Phase = corev1.ClaimPending }
	for name, test := range map[string]struct {
		old, now []change
		want     bool
	}{
		"nothing": {nil, nil, false},
		// Own writes.
		"W1":                   {nil, []change{in("ControllerResizeInProgress"), allocated, condition("Resizing")}, false},
		"W1 after W4":          {[]change{in("ControllerResizeInfeasible"), allocated}, []change{in("ControllerResizeInProgress"), allocated}, false},
		"W1 after the node's":  {[]change{in("NodeResizeInfeasible"), allocated}, []change{in("ControllerResizeInProgress"), allocated}, false},
		"W1 of the old way":    {nil, []change{condition("Resizing")}, false},
		"W2":                   {[]change{in("ControllerResizeInProgress")}, []change{in("NodeResizePending"), condition("FileSystemResizePending")}, false},
		"W2 of the old way":    {[]change{condition("Resizing")}, []change{condition("FileSystemResizePending")}, false},
		"W4":                   {[]change{in("ControllerResizeInProgress")}, []change{in("ControllerResizeInfeasible"), condition("ControllerResizeError")}, false},
		"W5":                   {[]change{in("ControllerResizeInProgress")}, []change{in("ControllerResizeInProgress"), condition("ControllerResizeError")}, false},
		"W5 that says another": {[]change{condition("ControllerResizeError")}, []change{condition("NodeResizeError")}, false},
		// The kubelet's.
		"the node begins":          {[]change{in("NodeResizePending")}, []change{in("NodeResizeInProgress")}, false},
		"the node ends":            {[]change{in("NodeResizeInProgress")}, []change{in(""), capacity("7Gi")}, true},
		"the node ends with less":  {[]change{in("NodeResizeInProgress")}, []change{in("")}, true},
		"the node gives up":        {[]change{in("NodeResizeInProgress")}, []change{in("NodeResizeInfeasible")}, true},
		"the node has given up":    {[]change{in("NodeResizeInfeasible")}, []change{in("NodeResizeInfeasible"), condition("NodeResizeError")}, false},
		"the node ends, old way":   {[]change{condition("FileSystemResizePending")}, []change{capacity("7Gi")}, true},
		"the size in other digits": {nil, []change{capacity("6144Mi")}, false},
		// The user's, and others'.
		"more":            {nil, []change{request("8Gi")}, true},
		"less":            {nil, []change{request("6500Mi")}, true},
		"bound":           {[]change{unbound}, nil, true},
		"unbound":         {nil, []change{unbound}, false},
		"more, unbound":   {[]change{unbound}, []change{unbound, request("8Gi")}, false},
		"bound to none":   {nil, []change{request("8Gi"), func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "" }}, false},
		"being deleted":   {nil, []change{func(c *corev1.PersistentVolumeClaim) { c.DeletionTimestamp = &metav1.Time{Time: time.Now()} }}, true},
		"another's name":  {[]change{func(c *corev1.PersistentVolumeClaim) { c.UID = "claim-0" }}, nil, true},
		"a label":         {nil, []change{func(c *corev1.PersistentVolumeClaim) { labelled(&c.ObjectMeta) }}, false},
		"a class, to be":  {nil, []change{func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeAttributesClassName = new(string) }}, false},
		"a resize driver": {nil, []change{func(c *corev1.PersistentVolumeClaim) { c.Annotations = map[string]string{names.StorageResizer: "x"} }}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := expand.Wants(changed(test.old...), changed(test.now...)); got != test.want {
				t.Errorf("Wants = %t, want %t", got, test.want)
			}
		})
	}
}

// A claim that appears, or is looked at again after the resync period.
func TestWantsOfAClaimThatAppears(t *testing.T) {
	whole := func(c *corev1.PersistentVolumeClaim) { c.Status.Capacity = sized("7Gi") }
	for name, test := range map[string]struct {
		now  []change
		want bool
	}{
		"asks for more":     {nil, true},
		"whole":             {[]change{whole}, false},
		"whole, unfinished": {[]change{whole, in("NodeResizeInProgress")}, true},
		"less than it has":  {[]change{func(c *corev1.PersistentVolumeClaim) { c.Status.Capacity = sized("9Gi") }}, false},
		"not bound":         {[]change{func(c *corev1.PersistentVolumeClaim) { c.Status.Phase = corev1.ClaimLost }}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := expand.Wants(nil, changed(test.now...)); got != test.want {
				t.Errorf("Wants = %t, want %t", got, test.want)
			}
		})
	}
}

func TestAnnotated(t *testing.T) {
	volume := newVolume()
	if expand.Annotated(volume) {
		t.Error("a volume without annotations counts as annotated")
	}
	volume.Annotations = map[string]string{names.PreResizeCapacity: ""}
	if !expand.Annotated(volume) {
		t.Error("an annotated volume does not count")
	}
}

func TestKey(t *testing.T) {
	key := expand.KeyOf(newClaim())
	if want := (expand.Key{Namespace: "team-a", Name: "data", UID: "claim-1"}); key != want {
		t.Errorf("KeyOf = %v, want %v", key, want)
	}
	if want := "team-a/data (claim-1)"; key.String() != want {
		t.Errorf("String = %q, want %q", key, want)
	}
}
